//! What a configuration file may say, for editors: a JSON schema of all that serde reads.

use std::time::Duration;

use regex::Regex;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serializer;
use serde_json::{Map, Value, json};

use super::Config;

/// The JSON schema of the configuration file, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(Finish(links()));
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    schema.to_value()
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^ *([0-9]+ *[a-zA-Zµ]+ *)+$",
        "examples": ["250ms", "30s", "5m"],
    })
}

pub(super) fn share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
}

/// Writes a default as it would stand in a file.
pub(super) fn write<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
    output.collect_str(&humantime::format_duration(*duration))
}

pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^([0-9.]+|\\[[0-9a-fA-F:.]+\\]):[0-9]{1,5}$",
        "examples": ["127.0.0.1:8080", "[::1]:8080"],
    })
}

/// One address of a listener, or a list of them.
pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    let one = json!({
        "type": "string",
        "pattern": "^(([0-9.]+|\\[[0-9a-fA-F:.]+\\]):[0-9]{1,5}|unix:.+|systemd:.+)$",
        "examples": ["127.0.0.1:8080", "[::1]:8080", "unix:/run/portcullis.sock", "systemd:web"],
    });
    json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

/// One text, or a list of them.
pub(super) fn texts(_: &mut SchemaGenerator) -> Schema {
    let one = json!({ "type": "string" });
    json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

pub(super) fn redirect_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [301, 302, 303, 307, 308], "default": 308 })
}

pub(super) fn final_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 200, "maximum": 599 })
}

/// A schema of types becomes one of a file.
#[derive(Clone, Debug)]
struct Finish(Option<Regex>);

impl Transform for Finish {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(schema) = schema.as_object_mut() else { return };
        // What has no default is left out, and not written as null.
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        if let Some(Value::String(description)) = schema.get_mut("description") {
            *description = self.plain(description);
        }
        allow_references(schema);
    }
}

/// Links of documentation.
fn links() -> Option<Regex> {
    Regex::new(r"\[(`[^`\]]+`)\](\([^)]*\))?|\[([^`\]]+)\]\([^)]*\)").ok()
}

impl Finish {
    /// The first part of a documentation, without what its own tools alone understand.
    fn plain(&self, description: &str) -> String {
        let prose = description.split("\n# ").next().unwrap_or_default();
        let first = prose.split("\n```").next().unwrap_or_default().trim();
        match &self.0 {
            Some(links) => links.replace_all(first, "$1$3").into_owned(),
            None => first.to_owned(),
        }
    }
}

/// A reference to the environment stands for any scalar, and what it stands for only the gateway knows.
fn allow_references(schema: &mut Map<String, Value>) {
    let reference = || json!({ "type": "string", "pattern": REFERENCE });
    if let Some(Value::String(pattern)) = schema.get_mut("pattern") {
        if pattern != REFERENCE {
            *pattern = format!("{REFERENCE}|{pattern}");
        }
    } else if let Some(kind) = schema.get_mut("type") {
        let kinds = match &*kind {
            Value::Array(kinds) => kinds.clone(),
            one => vec![one.clone()],
        };
        let scalar = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
        if kinds.iter().any(scalar) && !kinds.contains(&json!("string")) {
            *kind = Value::Array(kinds.into_iter().chain([json!("string")]).collect());
            schema.insert("pattern".to_owned(), json!(REFERENCE));
        }
    }
    let is_word = |branch: &Value| branch.get("const").is_some() || branch.get("enum").is_some();
    if let Some(Value::Array(branches)) = schema.get_mut("oneOf")
        && branches.iter().any(is_word)
    {
        branches.push(reference());
    }
    if schema.contains_key("enum") {
        let words = schema.remove("enum");
        schema.remove("type");
        schema.insert("anyOf".to_owned(), json!([{ "enum": words }, reference()]));
    }
}

const REFERENCE: &str = r"\$\{";

#[cfg(test)]
mod tests {
    use super::*;

    fn each<'s>(schema: &'s Value, look: &mut dyn FnMut(&'s Map<String, Value>)) {
        match schema {
            Value::Object(object) => {
                look(object);
                object.values().for_each(|value| each(value, look));
            }
            Value::Array(items) => items.iter().for_each(|value| each(value, look)),
            _ => {}
        }
    }

    #[test]
    fn durations_are_described_as_they_are_written() {
        let schema = schema();

        assert!(schema["$defs"].get("Duration").is_none(), "some field is a table of seconds");
        let timeouts = &schema["$defs"]["ClientTimeouts"]["properties"];
        assert_eq!(timeouts["keep_alive"]["default"], "1m 15s");
        assert_eq!(
            timeouts["keep_alive"]["description"],
            "Between two requests of a connection. 75 s."
        );
    }

    #[test]
    fn no_section_of_the_file_takes_unknown_keys() {
        let mut open = Vec::new();
        each(&schema(), &mut |object| {
            if object.contains_key("properties")
                && object.get("additionalProperties") != Some(&json!(false))
            {
                open.push(object.get("properties").cloned());
            }
        });

        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn descriptions_are_for_people_and_not_for_rustdoc() {
        let schema = schema();

        let upstream = &schema["$defs"]["Route"]["properties"]["upstream"]["description"];
        assert!(
            upstream.as_str().unwrap().starts_with("The name of a section `[upstream.…]`."),
            "{upstream}"
        );
        each(&schema, &mut |object| {
            if let Some(Value::String(text)) = object.get("description") {
                assert!(
                    !text.contains("](") && !text.contains("crate::") && !text.contains("```"),
                    "{text}"
                );
            }
        });
    }
}
