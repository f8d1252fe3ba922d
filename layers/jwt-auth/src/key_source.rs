use std::sync::Arc;

use crate::keys::Keys;
use crate::store::{Landing, Missing, Store};
use crate::token::Token;
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

    /// Whether the keys in the set with this number may be used now; those that never change are number zero.
    pub(crate) fn stands_by(&self, generation: u64) -> bool {
        match self {
            Self::Fixed(_) => generation == 0,
            Self::Remote(store) => store.stands_by(generation),
        }
    }

    pub(crate) fn refresh(&mut self, policy: RefreshPolicy) {
        if let Self::Remote(store) = self {
            *store = Arc::new(store.with(policy));
        }
    }

    /// The number of the set, if one of its keys has signed the token.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<u64, Missing> {
        match self {
            Self::Fixed(keys) => keys.verify(token).map(|()| 0).map_err(Missing::Key),
            Self::Remote(store) => store.verify(token),
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
