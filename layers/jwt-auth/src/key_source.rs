use std::sync::Arc;
use std::time::Duration;

use crate::keys::Keys;
use crate::store::{Landing, Missing, Store};
use crate::token::Token;
use crate::valid::Signer;
use crate::{ConfigError, RefreshPolicy, Unauthorized};

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// They were given.
    Fixed(Keys),
    /// The issuer is asked. Clones share what it answered.
    Remote(Arc<Store>),
}

impl KeySource {
    /// Whether there are keys, or will be.
    pub(crate) fn check(&self, issuer: Option<&str>) -> Result<(), ConfigError> {
        let issuer = || issuer.map(str::to_owned);
        match self {
            Self::Fixed(keys) => match keys.len() {
                0 => Err(ConfigError::NoKey(issuer())),
                1..=Keys::LIMIT => Ok(()),
                _ => Err(ConfigError::TooManyKeys(issuer())),
            },
            Self::Remote(_) => Ok(()),
        }
    }

    /// Whether this key may be used `now`, a time since 1970: the set that has it is the one at hand, or that of number
    /// zero, which never changes.
    pub(crate) fn stands_by(&self, signer: Signer, now: Duration) -> bool {
        match self {
            Self::Fixed(keys) => signer.generation == 0 && keys.serves(signer.key, now),
            Self::Remote(store) => store.stands_by(signer.generation),
        }
    }

    pub(crate) fn refresh(&mut self, policy: RefreshPolicy) {
        if let Self::Remote(store) = self {
            *store = Arc::new(store.with(policy));
        }
    }

    /// The key that has signed the token, of those that may be used `now`, a time since 1970.
    pub(crate) fn verify(&self, token: &Token<'_>, now: Duration) -> Result<Signer, Missing> {
        match self {
            Self::Fixed(keys) => match keys.verify(token, now) {
                Ok(key) => Ok(Signer { generation: 0, key }),
                Err(reason) => Err(Missing::for_ever(reason)),
            },
            Self::Remote(store) => store.verify(token, now),
        }
    }

    /// Calls `tell` with the name of the key, if it has one and its set is still at hand.
    pub(crate) fn tell_kid(&self, signer: Signer, tell: impl FnOnce(&str)) {
        match self {
            Self::Fixed(keys) => {
                if let Some(kid) = keys.kid(signer.key) {
                    tell(kid);
                }
            }
            Self::Remote(store) => store.tell_kid(signer, tell),
        }
    }

    /// What becomes of a token whose key is missing.
    pub(crate) fn settle(
        &self,
        missing: Missing,
        token: &Token<'_>,
        patience: bool,
    ) -> Result<Landing, Unauthorized> {
        match self {
            Self::Fixed(_) => Err(missing.reason()),
            Self::Remote(store) => store.settle(missing, token, patience),
        }
    }

    pub(crate) const fn store(&self) -> Option<&Arc<Store>> {
        match self {
            Self::Fixed(_) => None,
            Self::Remote(store) => Some(store),
        }
    }
}
