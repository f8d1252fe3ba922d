use std::collections::HashMap;
use std::fmt;

use aws_credential_types::Credentials;

/// Finds the secret of an access key.
///
/// It is asked for each signed request, before the signature is checked, on the task of the request: it must not block.
/// A closure `Fn(&str) -> Option<SecretKey>` is one, and so are [`FixedKeys`].
pub trait SecretKeys: Send + Sync + 'static {
    /// The secret of the key with this id, or none if there is no such key.
    fn secret_key(&self, access_key_id: &str) -> Option<SecretKey>;

    /// Secrets that the key with this id had before, and that are still accepted: while a secret is replaced, clients sign
    /// with either. None by default.
    ///
    /// Asked for when the signature is not by the secret that the key has now; each costs another check.
    fn former_secret_keys(&self, access_key_id: &str) -> Vec<SecretKey> {
        let _ = access_key_id;
        Vec::new()
    }
}

impl<F> SecretKeys for F
where
    F: Fn(&str) -> Option<SecretKey> + Send + Sync + 'static,
{
    fn secret_key(&self, access_key_id: &str) -> Option<SecretKey> {
        self(access_key_id)
    }
}

/// The secret of an access key, and the session token that has to come with it, if any.
///
/// Clones share it, the last one wipes it, and [`Debug`] does not show it.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretKey(Credentials); // they wipe what they hold

impl SecretKey {
    /// The secret `secret`; requests by it must have no session token.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Credentials::new("", secret, None, None, ""))
    }

    /// The secret `secret` of a temporary key; requests by it must have this session token.
    #[must_use]
    pub fn temporary(secret: impl Into<String>, session_token: impl Into<String>) -> Self {
        Self(Credentials::new("", secret, Some(session_token.into()), None, ""))
    }

    pub(super) fn secret(&self) -> &str {
        self.0.secret_access_key()
    }

    pub(super) fn session_token(&self) -> Option<&str> {
        self.0.session_token()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").finish_non_exhaustive()
    }
}

/// Access keys that do not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FixedKeys(HashMap<String, SecretKey>);

impl FixedKeys {
    /// Keys by their ids; of two with the same id the last stays.
    #[must_use]
    pub fn new<I: Into<String>>(keys: impl IntoIterator<Item = (I, SecretKey)>) -> Self {
        Self(keys.into_iter().map(|(id, key)| (id.into(), key)).collect())
    }
}

impl SecretKeys for FixedKeys {
    fn secret_key(&self, access_key_id: &str) -> Option<SecretKey> {
        self.0.get(access_key_id).cloned()
    }
}
