use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::{schema, text};

/// What browsers are told to be careful about. What the upstream says itself stays.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecurityHeaders {
    /// That the host is asked by TLS alone from now on; `false` says nothing.
    pub strict_transport_security: Hsts,
    /// `X-Content-Type-Options: nosniff`; `false` says nothing. It is said when left out.
    pub content_type_options: bool,
    /// `X-Frame-Options`: `DENY`, which is said when left out, or `SAMEORIGIN`; `false` says nothing.
    pub frame_options: Said,
    /// `Referrer-Policy`; `false` says nothing. `strict-origin-when-cross-origin` when left out.
    pub referrer_policy: Said,
    /// `Content-Security-Policy`; nothing when left out.
    pub content_security_policy: Said,
    /// `Permissions-Policy`; nothing when left out.
    pub permissions_policy: Said,
    /// `Cross-Origin-Opener-Policy`; nothing when left out.
    pub cross_origin_opener_policy: Said,
    /// `Cross-Origin-Embedder-Policy`; nothing when left out.
    pub cross_origin_embedder_policy: Said,
    /// `Cross-Origin-Resource-Policy`; nothing when left out.
    pub cross_origin_resource_policy: Said,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        let says = |value| Said(Some(HeaderValue::from_static(value)));
        Self {
            strict_transport_security: Hsts::default(),
            content_type_options: true,
            frame_options: says("DENY"),
            referrer_policy: says("strict-origin-when-cross-origin"),
            content_security_policy: Said(None),
            permissions_policy: Said(None),
            cross_origin_opener_policy: Said(None),
            cross_origin_embedder_policy: Said(None),
            cross_origin_resource_policy: Said(None),
        }
    }
}

/// The value of a header, or `false` for none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value or none")]
pub struct Said(pub Option<HeaderValue>);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(SaidOrFalse)
    }
}

impl JsonSchema for Said {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Said".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean"] })
    }
}

struct SaidOrFalse;

impl Visitor<'_> for SaidOrFalse {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a header, of visible ASCII and spaces, or false for none")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Said, E> {
        if truth {
            return Err(E::invalid_value(Unexpected::Bool(truth), &self));
        }
        Ok(Said(None))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said, E> {
        let plain =
            !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let value = plain.then(|| HeaderValue::from_str(text).ok()).flatten();
        value
            .map(|value| Said(Some(value)))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// How a host is to be asked from now on (RFC 6797).
#[derive(Clone, Debug, serde::Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StrictTransportSecurity {
    /// For how long. 365 days.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub max_age: Duration,
    /// All hosts below this one as well.
    pub include_subdomains: bool,
    /// That the makers of browsers may have it in their lists, which is hard to take back.
    pub preload: bool,
    /// Says it to clients without TLS, too: where TLS ends in front of the gateway.
    pub always: bool,
}

impl Default for StrictTransportSecurity {
    fn default() -> Self {
        let max_age = Duration::from_secs(365 * 24 * 60 * 60);
        Self { max_age, include_subdomains: false, preload: false, always: false }
    }
}

/// [`StrictTransportSecurity`], or `false` for nothing.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a policy or none")]
pub struct Hsts(pub Option<StrictTransportSecurity>);

impl Default for Hsts {
    fn default() -> Self {
        Self(Some(StrictTransportSecurity::default()))
    }
}

impl<'de> Deserialize<'de> for Hsts {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TableOrFalse)
    }
}

impl JsonSchema for Hsts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hsts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<StrictTransportSecurity>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, table] })
    }
}

struct TableOrFalse;

impl<'de> Visitor<'de> for TableOrFalse {
    type Value = Hsts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table like { max_age = \"365days\" }, or false for none")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Hsts, E> {
        if truth {
            return Err(E::invalid_value(Unexpected::Bool(truth), &self));
        }
        Ok(Hsts(None))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, table: A) -> Result<Hsts, A::Error> {
        let table = serde::de::value::MapAccessDeserializer::new(table);
        StrictTransportSecurity::deserialize(table).map(|policy| Hsts(Some(policy)))
    }
}
