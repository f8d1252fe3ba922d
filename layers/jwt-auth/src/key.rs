use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::DecodingKey;

use crate::backend::PROVIDER;
use crate::public_key::PublicKey;
use crate::token::Token;
use crate::{Algorithm, ConfigError, Jwks};

/// A key that checks signatures, and the algorithms that it is for.
///
/// The key says which algorithms may be used with it, never the token. One key serves one family: a secret for
/// HMAC, an RSA key, a point of P-256 or P-384, an Ed25519 key.
#[derive(Clone)]
#[must_use = "a key does nothing until an issuer has it"]
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: DecodingKey,
    /// Since 1970; none for one that stays.
    retires: Option<Duration>,
}

impl Key {
    /// A shared secret, for `HS256`, `HS384` or `HS512`.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than the output of the hash (32, 48 or 64 bytes; RFC 7518 §3.2), when it is a PEM
    /// document (a public key is no secret), or when an algorithm is not of HMAC, or there is none.
    pub fn secret(
        secret: impl AsRef<[u8]>,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(ConfigError::SecretIsPem);
        }
        Self::new(DecodingKey::from_secret(secret), algorithms, |algorithm| {
            let needed =
                algorithm.shortest_secret().ok_or(ConfigError::WrongAlgorithm(algorithm))?;
            if secret.len() < needed {
                return Err(ConfigError::ShortSecret { algorithm, needed });
            }
            Ok(())
        })
    }

    /// A public key as a PEM document: `PUBLIC KEY` (RSA, P-256, P-384, Ed25519) or `RSA PUBLIC KEY`.
    ///
    /// Text around the one block is ignored.
    ///
    /// # Errors
    ///
    /// When it is anything else (a private key, a certificate, two keys), when an RSA key has less than 2048 or more
    /// than 8192 bits, when a point is not one of its curve, or when an algorithm is not one of the key's kind, or there is none.
    pub fn pem(
        pem: impl AsRef<[u8]>,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        Self::public(&PublicKey::from_pem(pem.as_ref())?, algorithms)
    }

    /// The usable keys of a JSON Web Key Set (RFC 7517), and what was skipped.
    ///
    /// A key with `alg` is for that algorithm alone, one without for all of its kind that it is long enough for.
    ///
    /// # Errors
    ///
    /// When the document is not a key set, or none of its keys can be used.
    pub fn jwks(document: impl AsRef<[u8]>) -> Result<Jwks, ConfigError> {
        Jwks::parse(document.as_ref())
    }

    /// Names the key: a token that names another (`kid`, RFC 7515 §4.1.4) is not tried against it.
    ///
    /// A key without a name is tried against every token of its algorithms, as is every key against a token without.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Checks no signature from `time` on: for a key that another one replaces, while tokens of both come.
    ///
    /// Tokens that were verified with it are remembered until then, and no longer. By default a key stays.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.retires = Some(time.duration_since(UNIX_EPOCH).unwrap_or_default());
        self
    }

    /// Whether it may be used `now`, a time since 1970.
    pub(crate) fn serves(&self, now: Duration) -> bool {
        self.retires.is_none_or(|retires| now < retires)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether those who check with it could also sign with it.
    pub(crate) fn is_secret(&self) -> bool {
        self.algorithms.iter().any(|algorithm| algorithm.shortest_secret().is_some())
    }

    pub(crate) fn public(
        key: &PublicKey,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        let allowed = key.algorithms();
        Self::new(key.material(), algorithms, |algorithm| {
            let allowed = allowed.contains(&algorithm);
            allowed.then_some(()).ok_or(ConfigError::WrongAlgorithm(algorithm))
        })
    }

    fn new(
        material: DecodingKey,
        algorithms: impl IntoIterator<Item = Algorithm>,
        check: impl Fn(Algorithm) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        if algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        algorithms.iter().copied().try_for_each(check)?;
        Ok(Self { kid: None, algorithms, material, retires: None })
    }

    /// Whether the token may have been signed with this key: it names this one or none, and an algorithm of this one's.
    pub(crate) fn suits(&self, token: &Token<'_>) -> bool {
        let named = match (&self.kid, &token.kid) {
            (Some(own), Some(kid)) => own == kid,
            _ => true,
        };
        named && self.algorithms.contains(&token.algorithm)
    }

    /// Whether the token was signed with this key, under one of the key's own algorithms.
    pub(crate) fn has_signed(&self, token: &Token<'_>) -> bool {
        // The provider is named, not looked up: what else is compiled in, or installed for the process, changes nothing.
        self.algorithms.contains(&token.algorithm)
            && (PROVIDER.verifier_factory)(&token.algorithm.jws(), &self.material)
                .is_ok_and(|verifier| verifier.verify(token.message, &token.signature).is_ok())
    }
}

/// Shows the name and the algorithms, never the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Map;

    use super::*;

    // RFC 8037 appendix A.4, whose payload is no JSON.
    #[test]
    fn the_example_of_rfc_8037_is_signed_with_its_key() {
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let key = Key::jwks(key).unwrap().into_iter().next().unwrap();
        let mut token = Token {
            algorithm: Algorithm::EdDSA,
            kid: None,
            typ: None,
            claims: Map::new(),
            message: b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            signature: URL_SAFE_NO_PAD
                .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
                .unwrap(),
        };
        assert!(key.has_signed(&token));

        token.message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmd";
        assert!(!key.has_signed(&token));
    }
}
