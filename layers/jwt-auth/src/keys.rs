use std::time::Duration;

use crate::token::Token;
use crate::{Key, Unauthorized};

/// The keys of one issuer: whom a signature may be by.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    /// The most keys one issuer may have. A forged token without `kid` costs a check against each.
    pub(crate) const LIMIT: usize = 32;

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The name of the key at this place, if it has one.
    pub(crate) fn kid(&self, key: usize) -> Option<&str> {
        self.0.get(key)?.name()
    }

    /// Whether the key at this place may be used `now`, a time since 1970.
    pub(crate) fn serves(&self, key: usize, now: Duration) -> bool {
        self.0.get(key).is_some_and(|key| key.serves(now))
    }

    /// The place of the key that has signed the token, among those that it may be signed with `now`, a time since 1970.
    pub(crate) fn verify(&self, token: &Token<'_>, now: Duration) -> Result<usize, Unauthorized> {
        let mut refused = Unauthorized::UnknownKey;
        for (place, key) in
            self.0.iter().enumerate().filter(|(_, key)| key.suits(token) && key.serves(now))
        {
            if key.has_signed(token) {
                return Ok(place);
            }
            refused = Unauthorized::InvalidSignature;
        }
        Err(refused)
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
