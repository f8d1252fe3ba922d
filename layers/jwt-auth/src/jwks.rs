use std::vec;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::public_key::PublicKey;
use crate::{Algorithm, ConfigError, Key};

/// The keys of a JSON Web Key Set that can be used, from [`Key::jwks`].
///
/// What cannot (an unknown `kty` or `crv`, `use: enc`, an RSA key that is too short) is skipped: one strange key in an
/// issuer's set must not lock everybody out. An iteration yields the keys in their order.
#[derive(Clone, Debug)]
#[must_use = "keys do nothing until an issuer has them"]
pub struct Jwks {
    keys: Vec<Key>,
    skipped: Vec<ConfigError>,
}

impl Jwks {
    pub(crate) fn parse(document: &[u8]) -> Result<Self, ConfigError> {
        let document: Value =
            serde_json::from_slice(document).map_err(|_| ConfigError::NotAKeySet)?;
        let entries =
            document.get("keys").and_then(Value::as_array).ok_or(ConfigError::NotAKeySet)?;

        let mut jwks = Self { keys: Vec::new(), skipped: Vec::new() };
        for entry in entries {
            match key(entry) {
                Ok(key) => jwks.keys.push(key),
                Err(error) => jwks.skipped.push(error),
            }
        }
        if jwks.keys.is_empty() {
            return Err(ConfigError::NoUsableKey { skipped: jwks.skipped.len() });
        }
        Ok(jwks)
    }

    /// Why keys were skipped: an entry for each, in their order.
    #[must_use]
    pub fn skipped(&self) -> &[ConfigError] {
        &self.skipped
    }
}

impl IntoIterator for Jwks {
    type Item = Key;
    type IntoIter = vec::IntoIter<Key>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter()
    }
}

/// One entry of the set (RFC 7517 §4).
fn key(entry: &Value) -> Result<Key, ConfigError> {
    let jwk = entry.as_object().ok_or(ConfigError::MalformedKey)?;
    for_signatures(jwk)?;
    let algorithm = match text(jwk, "alg")? {
        Some(name) => Some(Algorithm::named(name).ok_or(ConfigError::UnsupportedKey)?),
        None => None,
    };

    let key = match (text(jwk, "kty")?, text(jwk, "crv")?) {
        (Some("oct"), _) => return named(jwk, secret(&bytes(jwk, "k")?, algorithm)?),
        (Some("RSA"), _) => PublicKey::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
        (Some("EC"), Some("P-256")) => PublicKey::p256(point(jwk, 32)?)?,
        (Some("EC"), Some("P-384")) => PublicKey::p384(point(jwk, 48)?)?,
        (Some("OKP"), Some("Ed25519")) => PublicKey::Ed25519(exactly(jwk, "x", 32)?),
        (Some(_), _) => return Err(ConfigError::UnsupportedKey),
        (None, _) => return Err(ConfigError::MalformedKey),
    };
    let public = match algorithm {
        Some(algorithm) => Key::public(&key, [algorithm]),
        None => Key::public(&key, key.algorithms().iter().copied()),
    };
    named(jwk, public?)
}

/// `use` and `key_ops` say what a key is for; without either it is for anything (RFC 7517 §4.2, §4.3).
fn for_signatures(jwk: &Map<String, Value>) -> Result<(), ConfigError> {
    let usage = text(jwk, "use")?.is_none_or(|usage| usage == "sig");
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|name| name == "verify"),
        Some(_) => return Err(ConfigError::MalformedKey),
    };
    (usage && operations).then_some(()).ok_or(ConfigError::NotForSignatures)
}

/// A secret that does not say what it is for is for all that it is long enough for.
fn secret(secret: &[u8], algorithm: Option<Algorithm>) -> Result<Key, ConfigError> {
    let all = [Algorithm::HS512, Algorithm::HS384, Algorithm::HS256];
    match algorithm {
        Some(algorithm) => Key::secret(secret, [algorithm]),
        None => {
            let long_enough = |algorithm: &Algorithm| {
                algorithm.shortest_secret().is_some_and(|needed| needed <= secret.len())
            };
            let fit: Vec<_> = all.into_iter().filter(long_enough).collect();
            // The least of them, where there is none: the error then says what it would have needed.
            Key::secret(secret, if fit.is_empty() { vec![Algorithm::HS256] } else { fit })
        }
    }
}

fn named(jwk: &Map<String, Value>, key: Key) -> Result<Key, ConfigError> {
    Ok(match text(jwk, "kid")? {
        Some(kid) => key.kid(kid),
        None => key,
    })
}

fn point(jwk: &Map<String, Value>, size: usize) -> Result<Vec<u8>, ConfigError> {
    Ok([vec![4], exactly(jwk, "x", size)?, exactly(jwk, "y", size)?].concat())
}

/// Coordinates have their full size, leading zeros included (RFC 7518 §6.2.1.2).
fn exactly(jwk: &Map<String, Value>, name: &str, size: usize) -> Result<Vec<u8>, ConfigError> {
    let bytes = bytes(jwk, name)?;
    if bytes.len() == size { Ok(bytes) } else { Err(ConfigError::MalformedKey) }
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, ConfigError> {
    let text = text(jwk, name)?.ok_or(ConfigError::MalformedKey)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ConfigError::MalformedKey)
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, ConfigError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ConfigError::MalformedKey),
    }
}
