use std::borrow::Cow;
use std::fmt;

use portcullis_sigv4_sign::{Signing, Verifying};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::CowStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::Spanned;

/// How requests to an upstream are signed: the layer's own policy, and by which credentials.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SigV4Sign {
    /// What the layer does.
    pub signing: Signing,
    /// The name of a section `[credentials.…]`.
    pub credentials: Spanned<String>,
}

/// Whose signatures a route accepts: the layer's own policy, and the credentials of clients.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SigV4Verify {
    /// What the layer does.
    pub verifying: Verifying,
    /// The names of sections `[credentials.…]`.
    pub credentials: Spanned<Vec<String>>,
}

impl<'de> Deserialize<'de> for SigV4Sign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (credentials, signing) = split(deserializer)?;
        Ok(Self { signing, credentials })
    }
}

impl<'de> Deserialize<'de> for SigV4Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (credentials, verifying) = split(deserializer)?;
        Ok(Self { verifying, credentials })
    }
}

/// Takes `credentials` out of a section, of which the rest is the layer's.
fn split<'de, D, C, P>(deserializer: D) -> Result<(Spanned<C>, P), D::Error>
where
    D: Deserializer<'de>,
    C: Deserialize<'de>,
    P: Deserialize<'de>,
{
    let mut credentials = None;
    let policy =
        P::deserialize(WithoutCredentials { section: deserializer, found: &mut credentials })?;
    let credentials = credentials.ok_or_else(|| D::Error::missing_field(CREDENTIALS))?;
    Ok((credentials, policy))
}

const CREDENTIALS: &str = "credentials";

/// A section whose `credentials` go to `found`, wherever they stand in it.
struct WithoutCredentials<'f, S, C> {
    section: S,
    found: &'f mut Option<Spanned<C>>,
}

impl<'de, D, C> Deserializer<'de> for WithoutCredentials<'_, D, C>
where
    D: Deserializer<'de>,
    C: Deserialize<'de>,
{
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.section.deserialize_map(WithoutCredentials { section: visitor, found: self.found })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V, C> Visitor<'de> for WithoutCredentials<'_, V, C>
where
    V: Visitor<'de>,
    C: Deserialize<'de>,
{
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.section.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.section.visit_map(WithoutCredentials { section: map, found: self.found })
    }
}

impl<'de, A, C> MapAccess<'de> for WithoutCredentials<'_, A, C>
where
    A: MapAccess<'de>,
    C: Deserialize<'de>,
{
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            match self.section.next_key_seed(KeySeed(&mut seed))? {
                None => return Ok(None),
                Some(Some(key)) => return Ok(Some(key)),
                Some(None) => *self.found = Some(self.section.next_value()?),
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.section.next_value_seed(seed)
    }
}

/// Reads a key with the seed of the layer, unless it is `credentials`.
struct KeySeed<'s, K>(&'s mut Option<K>);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Option<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = <Cow<'de, str>>::deserialize(deserializer)?;
        match self.0.take_if(|_| key != CREDENTIALS) {
            Some(seed) => seed.deserialize(CowStrDeserializer::new(key)).map(Some),
            None => Ok(None),
        }
    }
}

impl JsonSchema for SigV4Sign {
    fn schema_name() -> Cow<'static, str> {
        "SigV4Sign".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let credentials = json_schema!({
            "description": "The name of a section `[credentials.…]`.",
            "type": "string",
        });
        with_credentials(Signing::json_schema(generator), credentials)
    }
}

impl JsonSchema for SigV4Verify {
    fn schema_name() -> Cow<'static, str> {
        "SigV4Verify".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let credentials = json_schema!({
            "description": "The names of sections `[credentials.…]`.",
            "type": "array",
            "items": { "type": "string" },
        });
        with_credentials(Verifying::json_schema(generator), credentials)
    }
}

/// The schema of a section, of which the rest is the layer's.
fn with_credentials(mut schema: Schema, credentials: Schema) -> Schema {
    let section = schema.ensure_object();
    if let Some(Value::Object(properties)) = section.get_mut("properties") {
        properties.insert(CREDENTIALS.to_owned(), credentials.to_value());
    }
    if let Some(Value::Array(required)) = section.get_mut("required") {
        required.push(CREDENTIALS.into());
    }
    schema
}
