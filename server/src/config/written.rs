//! What a file says, for operators to look at: as it is written, but for its secrets.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::schema::schema;
use super::tree::{Entry, Node, Value};

/// Writes a file's tree as JSON. References to the environment stay references. What the schema says to be written only, and
/// never read, is left out, and so is what it does not know.
pub(super) fn written(tree: &Node) -> Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(schema);
    Sections { root: &SCHEMA }.show(tree, &[&SCHEMA])
}

/// What stands in place of a secret.
const SECRET: &str = "…";

struct Sections<'s> {
    root: &'s Json,
}

impl<'s> Sections<'s> {
    /// The value of `node`, which one of these describes.
    fn show(&self, node: &Node, described: &[&'s Json]) -> Json {
        let mut all = Vec::new();
        described.iter().for_each(|schema| self.alternatives(schema, &mut all));
        let is_secret = |schema: &&Json| schema.get("writeOnly") == Some(&json!(true));
        match &node.value {
            Value::Text(text) if all.iter().any(is_secret) => match is_reference(text) {
                true => json!(text),
                false => json!(SECRET),
            },
            _ if all.is_empty() || all.iter().any(is_secret) => json!(SECRET),
            Value::Table(entries) => self.table(entries, &all),
            Value::List(items) => {
                let of_items: Vec<_> = all.iter().filter_map(|one| one.get("items")).collect();
                items.iter().map(|item| self.show(item, &of_items)).collect()
            }
            Value::Text(text) | Value::Expanded(text) => json!(text),
            Value::Bool(value) => json!(value),
            Value::Integer(value) => i64::try_from(*value)
                .map_or_else(|_| json!(value.to_string()), |value| json!(value)),
            Value::Float(value) => json!(value),
            Value::Null | Value::Wrong => Json::Null,
        }
    }

    fn table(&self, entries: &[Entry], all: &[&'s Json]) -> Json {
        let each = entries.iter().map(|Entry { key, node, .. }| {
            let of_key = all.iter().filter_map(|one| {
                let own = one.get("properties").and_then(|properties| properties.get(key));
                own.or_else(|| one.get("additionalProperties").filter(|other| other.is_object()))
            });
            (key.clone(), self.show(node, &of_key.collect::<Vec<_>>()))
        });
        Json::Object(each.collect::<Map<_, _>>())
    }

    /// A schema and all that it may stand for.
    fn alternatives(&self, schema: &'s Json, all: &mut Vec<&'s Json>) {
        all.push(schema);
        let referred = schema.get("$ref").and_then(Json::as_str);
        let referred = referred.and_then(|path| self.root.pointer(path.strip_prefix('#')?));
        let branches =
            ["anyOf", "oneOf", "allOf"].iter().filter_map(|of| schema.get(of)?.as_array());
        for one in referred.into_iter().chain(branches.flatten()) {
            self.alternatives(one, all);
        }
    }
}

/// Whether a secret is elsewhere: in a file, or in the environment, without a default that would be one.
fn is_reference(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    text.starts_with("file:")
        || name
            .is_some_and(|name| name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_'))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Format;
    use super::*;

    fn shown(file: &str) -> Json {
        written(&Node::parse(file, Format::Toml).unwrap())
    }

    #[test]
    fn all_that_is_no_secret_is_shown_as_it_is_written() {
        let file = "workers = 2
            listener = [{ address = '${HOST:-127.0.0.1}:1', timeouts = { send = '1s' } }]
            upstream.a = { replica = [{ name = 'a', url = 'http://127.0.0.1:1' }], circuit_breaker = { failure_rate = 0.5 } }
            route = [{ path = '/', upstream = 'a', strip_prefix = true, jwt_auth = { issuers = ['i'], sources = ['bearer', { query = 'token' }] } }]";

        let expected = json!({
            "workers": 2,
            "listener": [{ "address": "${HOST:-127.0.0.1}:1", "timeouts": { "send": "1s" } }],
            "upstream": { "a": { "replica": [{ "name": "a", "url": "http://127.0.0.1:1" }], "circuit_breaker": { "failure_rate": 0.5 } } },
            "route": [{ "path": "/", "upstream": "a", "strip_prefix": true, "jwt_auth": { "issuers": ["i"], "sources": ["bearer", { "query": "token" }] } }],
        });
        assert_eq!(shown(file), expected);
    }

    #[test]
    fn secrets_are_not_shown_and_where_they_are_kept_is() {
        let file = "admin = { address = '127.0.0.1:1', token = 'hidden' }
            credentials.a = { access_key = '${ACCESS}', secret_key = '${SECRET:-hidden}', session_token = 'file:token' }
            issuer.i = { issuer = 'i', audience = ['a'], keys = [{ secret = 'hidden', algorithms = ['HS256'] }] }
            route = [{ path = '/', header_inject = { request = [{ set = 'x-key', value = 'hidden' }] } }]";

        let shown = shown(file);

        assert!(!shown.to_string().contains("hidden"), "{shown:#}");
        assert_eq!(shown["admin"]["token"], "…");
        let expected =
            json!({ "access_key": "${ACCESS}", "secret_key": "…", "session_token": "file:token" });
        assert_eq!(shown["credentials"]["a"], expected);
        assert_eq!(
            shown["route"][0]["header_inject"]["request"],
            json!([{ "set": "x-key", "value": "…" }])
        );
    }

    #[test]
    fn what_the_schema_does_not_know_is_not_shown() {
        assert_eq!(shown("unknown = { key = 'hidden' }"), json!({ "unknown": "…" }));
    }
}
