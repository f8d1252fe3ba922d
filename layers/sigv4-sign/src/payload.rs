use crate::Streaming;

/// How the body of a request enters its signature.
///
/// A request without a body is always signed as such, whatever the policy is.
///
/// # Configuration
///
/// ```toml
/// payload = "unsigned"
/// payload = { hash = "1MiB" }                        # larger bodies are refused
/// payload = { hash = 1048576, larger = "unsigned" }
/// payload = { hash = "1MiB", larger = "streaming" }
/// payload = "streaming"
/// ```
///
/// A size is a number of bytes, or text with one of the units `B`, `KB`, `MB`, `GB` (of 1000) and `KiB`, `MiB`,
/// `GiB` (of 1024). Instead of `"streaming"` there may be a table, `{ streaming = { .. } }`: see [`Streaming`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Reads the body into memory and signs its SHA-256.
    #[non_exhaustive]
    Hash {
        /// The most that is held in memory, in bytes; at zero, every body is larger.
        max_bytes: u64,
        /// What becomes of larger bodies.
        larger: Larger,
    },
    /// Signs `UNSIGNED-PAYLOAD` and lets the body stream by. S3 takes that, and few others do.
    Unsigned,
    /// Signs the body in chunks, as it streams by.
    Streaming(Streaming),
}

/// What becomes of a body that is too large to be hashed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Larger {
    /// The request is refused with `413`.
    #[default]
    Refuse,
    /// The body streams by unsigned, as under [`Payload::Unsigned`].
    Unsigned,
    /// The body is signed in chunks, as under [`Payload::Streaming`].
    Streaming(Streaming),
}

impl Payload {
    /// Hashes bodies of up to `max_bytes` and refuses larger ones.
    #[must_use]
    pub const fn hash(max_bytes: u64) -> Self {
        Self::Hash { max_bytes, larger: Larger::Refuse }
    }

    /// Hashes bodies of up to `max_bytes` and lets larger ones stream by unsigned.
    #[must_use]
    pub const fn hash_or_unsigned(max_bytes: u64) -> Self {
        Self::Hash { max_bytes, larger: Larger::Unsigned }
    }

    /// Hashes bodies of up to `max_bytes` and signs larger ones in chunks.
    ///
    /// A body of unknown length is read until it proves larger, and then has the fate that `streaming` says.
    #[must_use]
    pub const fn hash_or_streaming(max_bytes: u64, streaming: Streaming) -> Self {
        Self::Hash { max_bytes, larger: Larger::Streaming(streaming) }
    }
}

#[cfg(feature = "serde")]
pub(crate) use de::Size;

#[cfg(feature = "serde")]
mod de {
    use std::fmt;

    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

    use super::{Larger, Payload};
    use crate::Streaming;

    impl<'de> Deserialize<'de> for Payload {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            input.deserialize_any(PayloadVisitor)
        }
    }

    struct PayloadVisitor;

    impl<'de> Visitor<'de> for PayloadVisitor {
        type Value = Payload;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "\"unsigned\", \"streaming\" or { hash = <size>, \
                 larger = \"refuse\" | \"unsigned\" | \"streaming\" }",
            )
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Payload, E> {
            match word {
                "unsigned" => Ok(Payload::Unsigned),
                "streaming" => Ok(Payload::Streaming(Streaming::signed())),
                _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Payload, A::Error> {
            match Table::deserialize(MapAccessDeserializer::new(map))? {
                Table { hash: Some(Size(max_bytes)), larger, streaming: None } => {
                    Ok(Payload::Hash { max_bytes, larger: larger.unwrap_or_default() })
                }
                Table { hash: None, larger: None, streaming: Some(streaming) } => {
                    Ok(Payload::Streaming(streaming))
                }
                _ => {
                    Err(A::Error::custom("either `hash`, with or without `larger`, or `streaming`"))
                }
            }
        }
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        hash: Option<Size>,
        larger: Option<Larger>,
        streaming: Option<Streaming>,
    }

    impl<'de> Deserialize<'de> for Larger {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            input.deserialize_any(LargerVisitor)
        }
    }

    struct LargerVisitor;

    impl<'de> Visitor<'de> for LargerVisitor {
        type Value = Larger;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"refuse\", \"unsigned\", \"streaming\" or { streaming = { .. } }")
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Larger, E> {
            match word {
                "refuse" => Ok(Larger::Refuse),
                "unsigned" => Ok(Larger::Unsigned),
                "streaming" => Ok(Larger::Streaming(Streaming::signed())),
                _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Larger, A::Error> {
            #[derive(serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Table {
                streaming: Streaming,
            }
            let Table { streaming } = Table::deserialize(MapAccessDeserializer::new(map))?;
            Ok(Larger::Streaming(streaming))
        }
    }

    /// A number of bytes.
    pub(crate) struct Size(pub(crate) u64);

    impl<'de> Deserialize<'de> for Size {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            input.deserialize_any(SizeVisitor)
        }
    }

    struct SizeVisitor;

    impl Visitor<'_> for SizeVisitor {
        type Value = Size;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of bytes or a text like \"1MiB\"")
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
            Ok(Size(bytes))
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
            u64::try_from(bytes)
                .map(Size)
                .map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
            size(text).map(Size).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    fn size(text: &str) -> Option<u64> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let unit = match unit.trim_start_matches(' ') {
            "B" => 1,
            "KB" => 1000,
            "MB" => 1000 * 1000,
            "GB" => 1000 * 1000 * 1000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Payload, Size};
    use crate::Streaming;

    impl JsonSchema for Size {
        fn schema_name() -> Cow<'static, str> {
            "Size".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            crate::schema::size(generator)
        }
    }

    #[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
    impl JsonSchema for Payload {
        fn schema_name() -> Cow<'static, str> {
            "Payload".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let size = generator.subschema_for::<Size>();
            let streaming = generator.subschema_for::<Streaming>();
            json_schema!({
                "description": "How bodies are signed: hashed up to a size, streamed in signed chunks, or not at all.",
                "anyOf": [
                    { "enum": ["unsigned", "streaming"] },
                    {
                        "type": "object",
                        "properties": {
                            "hash": size,
                            "larger": {
                                "anyOf": [
                                    { "enum": ["refuse", "unsigned", "streaming"] },
                                    {
                                        "type": "object",
                                        "properties": { "streaming": streaming },
                                        "required": ["streaming"],
                                        "additionalProperties": false,
                                    },
                                ],
                            },
                            "streaming": streaming,
                        },
                        "additionalProperties": false,
                        "oneOf": [{ "required": ["hash"] }, { "required": ["streaming"] }],
                    },
                ],
            })
        }
    }
}
