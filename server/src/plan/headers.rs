//! What a route sets and removes, and what headers it learns from the client, its token and its certificate, and from files.

use std::error::Error;

use http::header::HeaderValue;
use http::request::Parts;
use portcullis_forwarded::Client;
use portcullis_header_inject::{HeaderInjectLayer, InvalidRule, Value};
use portcullis_jwt_auth::{ClaimPath, Claims};
use portcullis_request_id::RequestId;
use serde::Deserialize;
use serde::de::value::{Error as PathError, StrDeserializer};
use serde_json::Value as Claim;

use crate::certificate::Certificate;
use crate::config::{Config, Files, Problem, Route, Secret};
use crate::facts::client_certificate;

use super::problem;

/// The rules of a route, if it has some and they are right, and the files that they are read from.
pub(super) fn layer(
    config: &Config,
    route: &Route,
    key: &str,
    problems: &mut Vec<Problem>,
) -> (Option<HeaderInjectLayer>, Files) {
    let Some(section) = &route.header_inject else { return (None, Files::default()) };
    // What was named before belongs to something else.
    drop(config.folder.take());
    let sources = Sources { config, route };
    let mut why = None;
    let layer = HeaderInjectLayer::resolving(section.get_ref().clone(), |source| {
        sources.find(source).map_err(|message| why = Some(message)).ok()
    });
    let failed = |invalid: InvalidRule| {
        let message = match (&invalid, why) {
            (InvalidRule::UnknownSource { header, source }, Some(why)) => {
                format!("`{header}` comes from {source:?}: {why}")
            }
            _ => invalid.to_string(),
        };
        problems.push(problem(&format!("{key}.header_inject"), section, message));
    };
    (layer.map_err(failed).ok(), config.folder.take())
}

/// What the values of a route's headers may come from.
struct Sources<'c> {
    config: &'c Config,
    route: &'c Route,
}

impl Sources<'_> {
    fn find(&self, source: &str) -> Result<Value, String> {
        match source.split_once(':') {
            Some(("claim", _)) if self.route.jwt_auth.is_none() => {
                Err("the route has no `jwt_auth`, and so no claims".to_owned())
            }
            Some(("claim", path)) => from_claim(path),
            Some(("client_certificate", _)) if !asks_clients(self.config) => {
                Err("no listener asks for certificates: `tls.client_certificates`".to_owned())
            }
            Some(("client_certificate", part)) => from_certificate(part),
            Some(("file", _)) => self.file(source),
            _ => self.by_name(source),
        }
    }

    fn by_name(&self, source: &str) -> Result<Value, String> {
        let ask: fn(&Parts) -> Option<HeaderValue> = match source {
            "client_address" => |request| text(client(request)?.address().to_string()),
            "client_port" => |request| client(request)?.port().map(HeaderValue::from),
            "client_scheme" => |request| text(client(request)?.scheme().to_string()),
            "client_host" => |request| text(client(request)?.host()?.to_string()),
            "request_id" => {
                |request| Some(request.extensions.get::<RequestId>()?.as_value().clone())
            }
            "route" => {
                let name = self.route.name.as_deref();
                let name = name.unwrap_or_else(|| self.route.path.get_ref());
                let value = text(name.to_owned()).ok_or("the route's name is no value")?;
                return Ok(value.into());
            }
            _ => return Err(KNOWN.to_owned()),
        };
        Ok(Value::from_request(ask))
    }

    /// The secret that is in a file now: a reload reads it again.
    fn file(&self, source: &str) -> Result<Value, String> {
        let secret = Secret::from(source.to_owned()).read(&self.config.folder)?;
        let value = text(secret).filter(|value| value.to_str().is_ok());
        let value = value.ok_or("what is there is no value: visible ASCII, spaces and tabs")?;
        Ok(Value::from(value).secret())
    }
}

const KNOWN: &str = "a source is a claim, as in \"claim:sub\", \"client_certificate:subject\", \
    \"file:PATH\", \"client_address\", \"client_port\", \"client_scheme\", \"client_host\", \
    \"request_id\" or \"route\"";

fn client(request: &Parts) -> Option<&Client> {
    request.extensions.get()
}

fn text(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

fn from_claim(path: &str) -> Result<Value, String> {
    let path = claim_path(path).map_err(|error| error.to_string())?;
    let said = move |request: &Parts| {
        let claim = request.extensions.get::<Claims>()?.at(&path)?;
        let value = header_value(claim);
        if value.is_none() {
            tracing::debug!(?path, "a claim is no value for a header");
        }
        value
    };
    Ok(Value::from_request(said))
}

/// What reads a part of a certificate.
pub(super) fn certificate_part(part: &str) -> Result<fn(&Certificate) -> Claim, String> {
    match part {
        "subject" => Ok(|shown| Claim::from(shown.subject.as_str())),
        "names" => Ok(|shown| Claim::from(shown.names.as_slice())),
        "fingerprint" => Ok(|shown| Claim::from(shown.fingerprint.as_str())),
        _ => Err("a certificate has `subject`, `names` and `fingerprint`".to_owned()),
    }
}

fn from_certificate(part: &str) -> Result<Value, String> {
    let read = certificate_part(part)?;
    Ok(Value::from_request(move |request: &Parts| {
        header_value(&read(&*client_certificate(request)?))
    }))
}

/// A path with dots, or a JSON list of names, for names that have dots.
pub(super) fn claim_path(text: &str) -> Result<ClaimPath, Box<dyn Error>> {
    if text.starts_with('[') {
        return Ok(serde_json::from_str(text)?);
    }
    Ok(ClaimPath::deserialize(StrDeserializer::<PathError>::new(text))?)
}

/// Whether the clients of some listener are asked for certificates.
pub(super) fn asks_clients(config: &Config) -> bool {
    let mut sections = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    sections.any(|tls| tls.get_ref().client_certificates.is_some())
}

/// The value of a header that says what a claim or a certificate says, to whoever reads it.
///
/// A list becomes its items with commas between them, if none of them has one, since an item could otherwise pass for two.
fn header_value(claim: &Claim) -> Option<HeaderValue> {
    let text = match claim {
        Claim::Array(items) => {
            let items = items.iter().map(|item| scalar(item).filter(|item| !item.contains(',')));
            items.collect::<Option<Vec<_>>>()?.join(",")
        }
        claim => scalar(claim)?,
    };
    HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
}

/// A text as it is, a number or a boolean as JSON has it. Not a text that would be another one at the upstream, which
/// takes spaces off at the ends, and may not be able to read bytes beyond ASCII.
fn scalar(claim: &Claim) -> Option<String> {
    let text = match claim {
        Claim::String(text) => text.clone(),
        Claim::Number(number) => number.to_string(),
        Claim::Bool(truth) => truth.to_string(),
        Claim::Null | Claim::Array(_) | Claim::Object(_) => return None,
    };
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (plain && !text.is_empty() && text.trim() == text).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(claim: &Claim) -> Option<String> {
        header_value(claim).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn scalars_are_text_and_lists_are_joined() {
        for (claim, expected) in [
            (json!("alice"), "alice"),
            (json!("Doe, Jane"), "Doe, Jane"),
            (json!(42), "42"),
            (json!(-1.5), "-1.5"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(true), "true"),
            (json!(["ops", "dev team", 3, false]), "ops,dev team,3,false"),
            (json!(["ops"]), "ops"),
        ] {
            assert_eq!(text(&claim).as_deref(), Some(expected), "{claim}");
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_no_value() {
        for claim in [
            json!(null),
            json!({ "a": "b" }),
            json!(""),
            json!(" admin"),
            json!("admin "),
            json!("a\tb"),
            json!("a\r\nx-admin: 1"),
            json!("a\u{0}"),
            json!("a\u{7f}"),
            json!("J\u{fc}rgen"),
            json!([]),
            json!(["ops", "a,admin"]),
            json!(["ops", ""]),
            json!(["ops", " admin"]),
            json!(["ops", null]),
            json!(["ops", ["admin"]]),
            json!(["ops", { "a": "b" }]),
        ] {
            assert_eq!(text(&claim), None, "{claim}");
        }
    }

    proptest! {
        #[test]
        fn a_list_of_texts_is_read_as_it_was_written_or_not_at_all(items in proptest::collection::vec("[ab, \t]{0,3}", 0..4)) {
            if let Some(text) = text(&json!(items)) {
                let read: Vec<_> = text.split(',').map(str::trim).collect();
                prop_assert_eq!(read, items);
            }
        }

        #[test]
        fn a_plain_text_is_a_value(plain in "[!-~]([ -~]{0,20}[!-~])?") {
            prop_assert_eq!(text(&json!(plain)), Some(plain));
        }
    }

    #[test]
    fn a_path_has_dots_or_is_a_list() {
        assert_eq!(claim_path("realm_access.roles").unwrap(), ["realm_access", "roles"].into());
        assert_eq!(
            claim_path(r#"["https://a.example/b", "c"]"#).unwrap(),
            ["https://a.example/b", "c"].into()
        );
        for path in ["", "a..b", ".", "[]", "[\"\"]", "[\"a\"", "[1]"] {
            assert!(claim_path(path).is_err(), "{path}");
        }
    }
}
