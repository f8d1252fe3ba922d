//! What stands in a configuration file, and what it means.

use std::fmt;

use http::header::HeaderName;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::rule::Condition;
use crate::{ClaimPath, ClaimRule, Scalar, TokenSource};

impl<'de> Deserialize<'de> for TokenSource {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = TokenSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"bearer\", or a table with one of `header`, `cookie` and `query`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<TokenSource, E> {
        match name {
            "bearer" => Ok(TokenSource::bearer()),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(name), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<TokenSource, A::Error> {
        let written = WrittenSource::deserialize(MapAccessDeserializer::new(members))?;
        written.source().map_err(A::Error::custom)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSource {
    header: Option<String>,
    prefix: Option<String>,
    cookie: Option<String>,
    query: Option<String>,
}

impl WrittenSource {
    fn source(self) -> Result<TokenSource, String> {
        match (self.header, self.prefix, self.cookie, self.query) {
            (Some(name), prefix, None, None) => {
                let name: HeaderName =
                    name.parse().map_err(|_| format!("no name for a header: {name:?}"))?;
                Ok(TokenSource::prefixed_header(name, prefix.unwrap_or_default()))
            }
            (None, None, Some(name), None) => {
                TokenSource::cookie(name).map_err(|error| error.to_string())
            }
            (None, None, None, Some(name)) => {
                TokenSource::query(name).map_err(|error| error.to_string())
            }
            _ => Err(
                "a source is one of `header`, `cookie` and `query`; only `header` has a `prefix`"
                    .to_owned(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for ClaimRule {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        WrittenRule::deserialize(input)?.rule().map_err(D::Error::custom)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    claim: ClaimPath,
    equals: Option<Scalar>,
    r#in: Option<Vec<Scalar>>,
    contains: Option<Scalar>,
    gt: Option<Number>,
    gte: Option<Number>,
    lt: Option<Number>,
    lte: Option<Number>,
}

impl WrittenRule {
    fn rule(self) -> Result<ClaimRule, &'static str> {
        if self.r#in.as_ref().is_some_and(Vec::is_empty) {
            return Err("`in` has no value, so the rule never holds");
        }
        let conditions = [
            self.equals.map(Condition::Equals),
            self.r#in.map(Condition::In),
            self.contains.map(Condition::Contains),
            self.gt.map(Condition::Gt),
            self.gte.map(Condition::Gte),
            self.lt.map(Condition::Lt),
            self.lte.map(Condition::Lte),
        ];
        let mut conditions = conditions.into_iter().flatten();
        match (conditions.next(), conditions.next()) {
            (Some(condition), None) => Ok(ClaimRule::new(self.claim, condition)),
            _ => Err("a rule has one of `equals`, `in`, `contains`, `gt`, `gte`, `lt` and `lte`"),
        }
    }
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let path = input.deserialize_any(PathVisitor)?;
        if path.0.is_empty() || path.0.iter().any(String::is_empty) {
            return Err(D::Error::custom("a claim has no name"));
        }
        Ok(path)
    }
}

struct PathVisitor;

impl<'de> Visitor<'de> for PathVisitor {
    type Value = ClaimPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path with dots, or a list of names")
    }

    fn visit_str<E>(self, path: &str) -> Result<ClaimPath, E> {
        Ok(path.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ClaimPath, A::Error> {
        let mut path = Vec::new();
        while let Some(name) = names.next_element()? {
            path.push(name);
        }
        Ok(ClaimPath(path))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Number::from_f64(number).map(Scalar::from).ok_or_else(|| E::custom("not a finite number"))
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use crate::{ClaimPath, ClaimRule, TokenSource};

    #[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
    impl JsonSchema for TokenSource {
        fn schema_name() -> Cow<'static, str> {
            "TokenSource".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Where a token may be: `bearer`, or a header, a cookie or a parameter of the query.",
                "anyOf": [
                    { "const": "bearer" },
                    {
                        "type": "object",
                        "properties": {
                            "header": { "type": "string" },
                            "prefix": { "type": "string", "description": "What stands before the token in the header." },
                            "cookie": { "type": "string" },
                            "query": { "type": "string" },
                        },
                        "additionalProperties": false,
                        "oneOf": [
                            { "required": ["header"] },
                            { "required": ["cookie"] },
                            { "required": ["query"] },
                        ],
                    },
                ],
            })
        }
    }

    #[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
    impl JsonSchema for ClaimRule {
        fn schema_name() -> Cow<'static, str> {
            "ClaimRule".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let scalar = |says: &str| json_schema!({ "type": ["string", "number", "boolean"], "description": says });
            let number = |says: &str| json_schema!({ "type": "number", "description": says });
            let items = json_schema!({ "type": ["string", "number", "boolean"] });
            json_schema!({
                "description": "What a claim of a token must be: one of the conditions.",
                "type": "object",
                "properties": {
                    "claim": generator.subschema_for::<ClaimPath>(),
                    "equals": scalar("It is this value."),
                    "in": { "type": "array", "items": items, "minItems": 1, "description": "It is one of these values." },
                    "contains": scalar("It is a list that has this value."),
                    "gt": number("It is a number above this."),
                    "gte": number("It is this number, or one above."),
                    "lt": number("It is a number below this."),
                    "lte": number("It is this number, or one below."),
                },
                "required": ["claim"],
                "additionalProperties": false,
                "minProperties": 2,
                "maxProperties": 2,
            })
        }
    }
}
