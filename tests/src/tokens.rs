use std::time::{Duration, SystemTime};

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{EncodingKey, Header, encode};

/// A line of configuration: the issuer `test`, whose tokens [`token`] makes.
pub const ISSUER: &str = "issuer.test = { keys = [{ secret = 'a secret of the tests, 32 bytes!', algorithms = ['HS256'] }] }\n";

/// A token of these claims, as the issuer `test` would give out.
#[must_use]
pub fn token(claims: &serde_json::Value) -> String {
    choose_backend();
    let key = EncodingKey::from_secret(b"a secret of the tests, 32 bytes!");
    encode(&Header::default(), claims, &key).unwrap()
}

/// Lets `jsonwebtoken` sign where both its backends are compiled in, between which it does not choose by itself.
pub fn choose_backend() {
    let _ = DEFAULT_PROVIDER.install_default();
}

/// An hour from now, as an `exp` has it.
#[must_use]
pub fn in_an_hour() -> u64 {
    let then = SystemTime::now() + Duration::from_secs(3600);
    then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
