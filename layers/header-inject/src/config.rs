//! Rules as a configuration file has them. No error prints what may be a value.

use std::fmt;

use http::header::{HeaderName, HeaderValue};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{HeaderRules, Rule, Value};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    set: Option<Scalar>,
    append: Option<Scalar>,
    set_if_absent: Option<Scalar>,
    remove: Option<Scalar>,
    rename: Option<Scalar>,
    value: Option<Scalar>,
    from: Option<Scalar>,
    to: Option<Scalar>,
    secret: Option<Scalar>,
    allow_protected: Option<Scalar>,
}

/// Takes anything, since a type error of serde's own would print what it found.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Other(IgnoredAny),
}

impl Entry {
    fn into_rule(self) -> Result<Rule, String> {
        let Self {
            set,
            append,
            set_if_absent,
            remove,
            rename,
            value,
            from,
            to,
            secret,
            allow_protected,
        } = self;
        let mut verbs = [
            ("set", set),
            ("append", append),
            ("set_if_absent", set_if_absent),
            ("remove", remove),
            ("rename", rename),
        ]
        .into_iter()
        .filter_map(|(verb, name)| name.map(|name| (verb, name)));
        let (verb, name) = verbs.next().ok_or_else(|| format!("a rule needs a verb: {VERBS}"))?;
        if let Some((second, _)) = verbs.next() {
            return Err(format!("a rule has one verb, not both `{verb}` and `{second}`"));
        }

        let name = header_name(verb, name)?;
        let secret = flag("secret", secret.as_ref())?;
        let value = match (value, from) {
            (Some(value), None) => Some(header_value(&name, value)?),
            (None, Some(source)) => Some(source_name(source)?),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(format!("`{verb}` needs a `value` or `from`, not both"));
            }
        };
        let value = if secret { value.map(Value::secret) } else { value };
        let to = to.map(|to| header_name("to", to)).transpose()?;
        let rule = match (verb, value, to) {
            ("set", Some(value), None) => Rule::set(name, value),
            ("append", Some(value), None) => Rule::append(name, value),
            ("set_if_absent", Some(value), None) => Rule::set_if_absent(name, value),
            ("remove", None, None) if !secret => Rule::remove(name),
            ("rename", None, Some(to)) if !secret => Rule::rename(name, to),
            ("remove", ..) => return Err("`remove` stands alone: it has no value".to_owned()),
            ("rename", ..) => return Err("`rename` needs `to`, and has no value".to_owned()),
            _ => return Err(format!("`{verb}` needs a `value` or `from`, and no `to`")),
        };
        let allowed = flag("allow_protected", allow_protected.as_ref())?;
        let rule = if allowed { rule.allow_protected() } else { rule };
        rule.check().map_err(|invalid| invalid.to_string())
    }
}

fn header_name(key: &str, name: Scalar) -> Result<HeaderName, String> {
    let name = if let Scalar::Text(name) = name { name.parse().ok() } else { None };
    name.ok_or_else(|| {
        format!(
            "`{key}` must be the name of a header: letters, digits and `-`, as in \"x-feature\""
        )
    })
}

fn header_value(name: &HeaderName, value: Scalar) -> Result<Value, String> {
    let Scalar::Text(value) = value else {
        return Err(format!("the value of `{name}` must be text, in quotes"));
    };
    let value = HeaderValue::try_from(value).map_err(|_| {
        format!("the value of `{name}` may hold visible ASCII, spaces and tabs only")
    })?;
    Ok(value.into())
}

fn source_name(name: Scalar) -> Result<Value, String> {
    match name {
        Scalar::Text(name) if !name.is_empty() => Ok(Value::named(name)),
        _ => Err("`from` must be a name, in quotes, of what the value comes from".to_owned()),
    }
}

fn flag(key: &str, flag: Option<&Scalar>) -> Result<bool, String> {
    match flag {
        None => Ok(false),
        Some(Scalar::Flag(flag)) => Ok(*flag),
        Some(_) => Err(format!("`{key}` must be true or false")),
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneRule;

        impl<'de> Visitor<'de> for OneRule {
            type Value = Rule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule, as in { set = \"x-feature\", value = \"on\" }")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let entry = Entry::deserialize(MapAccessDeserializer::new(map))?;
                entry.into_rule().map_err(A::Error::custom)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Rule, E> {
                Err(E::custom("text is no rule: write { set = \"x-feature\", value = \"on\" }"))
            }
        }

        input.deserialize_any(OneRule)
    }
}

impl<'de> Deserialize<'de> for HeaderRules {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Rules;

        impl<'de> Visitor<'de> for Rules {
            type Value = HeaderRules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<HeaderRules, A::Error> {
                let rules = Vec::<Rule>::deserialize(SeqAccessDeserializer::new(list))?;
                HeaderRules::new(rules).map_err(A::Error::custom)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<HeaderRules, E> {
                Err(E::custom("text is no list of rules: write [{ remove = \"x-internal\" }]"))
            }
        }

        input.deserialize_any(Rules)
    }
}

const VERBS: &str = "`set`, `append`, `set_if_absent`, `remove` or `rename`";

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use crate::HeaderRules;

    #[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
    impl JsonSchema for HeaderRules {
        fn schema_name() -> Cow<'static, str> {
            "HeaderRules".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let name =
                |description: &str| json_schema!({ "type": "string", "description": description });
            json_schema!({
                "description": "Rules for headers, applied in this order; each has one verb.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "set": name("The header that gets a value in place of all that it had."),
                        "append": name("The header that gets one more value."),
                        "set_if_absent": name("The header that gets a value if it has none."),
                        "remove": name("The header that is taken off."),
                        "rename": name("The header that goes on under another name."),
                        // It may be a key for the service behind, so that who shows a configuration leaves it out.
                        "value": {
                            "type": "string",
                            "description": "The value: visible ASCII, spaces and tabs.",
                            "writeOnly": true,
                        },
                        "from": name("What the value comes from."),
                        "to": name("The new name."),
                        "secret": { "type": "boolean", "default": false, "description": "Never prints the value." },
                        "allow_protected": {
                            "type": "boolean",
                            "default": false,
                            "description": "Lets the rule change a header that is protected.",
                        },
                    },
                    "additionalProperties": false,
                    "oneOf": [
                        { "required": ["set"] },
                        { "required": ["append"] },
                        { "required": ["set_if_absent"] },
                        { "required": ["remove"] },
                        { "required": ["rename", "to"] },
                    ],
                },
            })
        }
    }
}
