use std::collections::BTreeMap;

use portcullis_sigv4_sign::{Signing, Verifying};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use toml::{Spanned, Value};

/// How requests to an upstream are signed: the layer's own policy, and by which credentials.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SigV4Sign {
    /// What the layer does.
    pub signing: Signing,
    /// The name of a section `[credentials.…]`.
    pub credentials: Spanned<String>,
}

/// Whose signatures a route accepts: the layer's own policy, and the credentials of clients.
#[derive(Clone, Debug)]
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
    C: DeserializeOwned,
    P: DeserializeOwned,
{
    let mut section = BTreeMap::<String, Spanned<Value>>::deserialize(deserializer)?;
    let credentials = section.remove("credentials");
    let credentials = credentials.ok_or_else(|| D::Error::missing_field("credentials"))?;
    let span = credentials.span();
    let credentials = C::deserialize(credentials.into_inner());
    let credentials = credentials.map_err(|error| said(&error, Some("credentials")))?;
    let rest = section.into_iter().map(|(key, value)| (key, value.into_inner())).collect();
    let policy = P::deserialize(Value::Table(rest)).map_err(|error| said(&error, None))?;
    Ok((Spanned::new(span, credentials), policy))
}

/// An error without the place that it does not know: that of the section stands for it.
fn said<E: Error>(error: &toml::de::Error, key: Option<&str>) -> E {
    let message = error.message().trim();
    match key {
        Some(key) => E::custom(format_args!("`{key}`: {message}")),
        None => E::custom(message),
    }
}
