use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

/// Issues tokens for whoever asks.
#[derive(Clone)]
pub struct Issuer(String);

impl Issuer {
    /// Signs with `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        Self(secret.to_owned())
    }

    /// What the gateway verifies with.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// A token for `subject` in `role`, valid for a day.
    #[must_use]
    pub fn token(&self, subject: &str, role: &str) -> String {
        let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
        let seconds = tomorrow.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({ "sub": subject, "role": role, "aud": "photos", "exp": seconds });
        let key = EncodingKey::from_secret(self.0.as_bytes());
        // HMAC over JSON that was just made has nothing to fail at.
        encode(&Header::default(), &claims, &key).unwrap_or_default()
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}
