use std::collections::BTreeMap;

use portcullis_jwt_auth::{KeySetStatus, RefreshError};
use serde::Serialize;

use crate::plan::Plan;

/// The keys of an issuer that is asked for them, as `/readyz` shows them.
#[derive(Clone, Debug, Serialize)]
pub struct KeySet {
    state: KeySetState,
    /// How many can be used, and how many of the set cannot.
    keys: usize,
    skipped: usize,
    /// Since the issuer last sent or confirmed the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    /// Why it could not be asked when that was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'static str>,
}

/// What an issuer's keys are good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeySetState {
    /// The issuer is being asked, and has not answered yet: requests wait.
    Pending,
    /// Tokens are checked with what the issuer said when it was last asked.
    Fresh,
    /// Tokens are checked with the last good set: the issuer cannot be asked.
    Stale,
    /// There is nothing to check tokens with, and the issuer cannot be asked.
    Missing,
}

impl KeySet {
    fn new(status: &KeySetStatus) -> Self {
        let last_error = status.last_error();
        Self {
            state: match (status.is_usable(), last_error) {
                (true, None) => KeySetState::Fresh,
                (true, Some(_)) => KeySetState::Stale,
                (false, None) => KeySetState::Pending,
                (false, Some(_)) => KeySetState::Missing,
            },
            keys: status.keys(),
            skipped: status.skipped(),
            age_seconds: status.age().map(|age| age.as_secs()),
            last_error: last_error.map(RefreshError::reason),
        }
    }

    /// What they are good for.
    #[must_use]
    pub const fn state(&self) -> KeySetState {
        self.state
    }

    /// Whether the issuer could not be asked when that was last tried.
    pub(super) const fn is_failing(&self) -> bool {
        self.last_error.is_some()
    }
}

/// The keys of all issuers that are asked for them, by the names of their sections.
pub(super) fn key_sets(plan: &Plan) -> BTreeMap<String, KeySet> {
    let of_each = plan.issuers.iter().flat_map(|(name, issuer)| {
        let sets = issuer.handle().map(|handle| handle.key_sets()).unwrap_or_default();
        sets.into_iter().map(|set| (name.clone(), KeySet::new(&set)))
    });
    of_each.collect()
}
