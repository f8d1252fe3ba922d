use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::later::Stop;
use crate::store::Store;
use crate::times::Times;
use crate::token::Token;
use crate::valid::Seal;
use crate::{ConfigError, Issuer, Unauthorized};

/// The issuers whose tokens are believed: at least one, each with a key, and told apart by their names.
#[derive(Clone, Debug)]
pub(crate) struct Trust(Vec<Issuer>);

impl Trust {
    pub(crate) fn new(issuers: impl IntoIterator<Item = Issuer>) -> Result<Self, ConfigError> {
        let issuers: Vec<_> = issuers.into_iter().map(Issuer::usable).collect::<Result<_, _>>()?;
        if issuers.is_empty() {
            return Err(ConfigError::NoIssuer);
        }
        if issuers.len() > 1 {
            let mut names = HashSet::new();
            for issuer in &issuers {
                let name = issuer.name().ok_or(ConfigError::UnnamedIssuer)?;
                if !names.insert(name) {
                    return Err(ConfigError::DuplicateIssuer(name.to_owned()));
                }
            }
        }
        Ok(Self(issuers))
    }

    /// The issuers that are asked for their keys, by their names.
    pub(crate) fn stores(&self) -> impl Iterator<Item = (Option<String>, Arc<Store>)> {
        let store = |issuer: &Issuer| {
            Some((issuer.name().map(str::to_owned), issuer.keys.store()?.clone()))
        };
        self.0.iter().filter_map(store)
    }

    /// The token's dates and what it was found valid by, if it is of a trusted issuer, and valid `now`, a time since 1970.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        now: Duration,
        patience: bool,
    ) -> Result<(Times, Seal), Stop> {
        let (place, issuer) = match self.0.as_slice() {
            [only] => (0, only),
            // What is not verified yet may choose among the trusted, since the keys of the chosen one judge it.
            several => {
                let name = token.claims.get("iss").and_then(Value::as_str);
                let name = name.ok_or(Unauthorized::UnknownIssuer)?;
                let named = |(_, issuer): &(_, &Issuer)| issuer.name() == Some(name);
                several.iter().enumerate().find(named).ok_or(Unauthorized::UnknownIssuer)?
            }
        };
        let (times, signer) = issuer.verify(token, now, patience)?;
        Ok((times, Seal { issuer: place, signer }))
    }

    /// The issuer at this place.
    pub(crate) fn issuer(&self, place: usize) -> Option<&Issuer> {
        self.0.get(place)
    }

    /// Whether the key that `seal` names is one of those that are trusted `now`, a time since 1970.
    pub(crate) fn stands_by(&self, seal: Seal, now: Duration) -> bool {
        self.0.get(seal.issuer).is_some_and(|issuer| issuer.stands_by(seal.signer, now))
    }
}
