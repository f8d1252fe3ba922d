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

    /// The number of the set: two sets of different keys have different ones.
    #[expect(clippy::unused_self, reason = "keys that are given never change")]
    pub(crate) const fn generation(&self) -> u64 {
        0
    }

    /// The number of the set, if one of its keys that the token may be signed with has signed it.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<u64, Unauthorized> {
        let mut refused = Unauthorized::UnknownKey;
        for key in self.0.iter().filter(|key| key.suits(token)) {
            if key.has_signed(token) {
                return Ok(self.generation());
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
