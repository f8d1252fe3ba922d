use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::TokenCache;
use crate::refresh::Need;
use crate::refresher::all;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::{CacheStatus, RefreshError};

/// Looks at the key sets of a layer, and has them refreshed; looks at the tokens it remembers, and has them forgotten.
///
/// A clone costs two references. While there is one, the sets and the tokens are kept.
#[derive(Clone)]
#[must_use = "a handle does nothing by itself"]
pub struct JwtAuthHandle {
    stores: Arc<[(Option<String>, Arc<Store>)]>,
    tokens: Arc<TokenCache>,
}

impl JwtAuthHandle {
    pub(crate) fn new(
        stores: impl Iterator<Item = (Option<String>, Arc<Store>)>,
        tokens: Arc<TokenCache>,
    ) -> Self {
        Self { stores: stores.collect(), tokens }
    }

    /// The key sets that issuers were asked for, as they are now, in the order of the issuers.
    #[must_use]
    pub fn key_sets(&self) -> Vec<KeySetStatus> {
        let now = Instant::now();
        let status = |(issuer, store): &(Option<String>, Arc<Store>)| {
            let snapshot = store.snapshot();
            let (age, usable) = (snapshot.age(now), snapshot.usable(now).is_some());
            KeySetStatus { issuer: issuer.clone(), age, usable, snapshot }
        };
        self.stores.iter().map(status).collect()
    }

    /// Asks all issuers for their keys now, even those that failed a moment ago, and waits for the answers.
    ///
    /// Where somebody is asking already, it waits for that answer. What came of it, [`JwtAuthHandle::key_sets`] says.
    /// Dropped, it has failed to ask, and the next attempt is made after a moment.
    pub async fn refresh_now(&self) {
        all(self.stores.iter(), |(_, store)| store.refresh(Need::Now)).await;
    }

    /// The tokens that are remembered, and what has come of remembering, as of now.
    ///
    /// It locks each shard for a moment.
    #[must_use]
    pub fn cache(&self) -> CacheStatus {
        self.tokens.status()
    }

    /// Forgets all tokens: each is verified again when it comes. What was counted stays.
    ///
    /// One that is being verified meanwhile may be remembered.
    pub fn flush(&self) {
        self.tokens.flush();
    }
}

impl fmt::Debug for JwtAuthHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthHandle")
            .field("key_sets", &self.key_sets())
            .field("cache", &self.cache())
            .finish()
    }
}

/// The keys of an issuer that is asked for them, at one moment.
#[derive(Clone)]
pub struct KeySetStatus {
    issuer: Option<String>,
    age: Option<Duration>,
    usable: bool,
    snapshot: Arc<Snapshot>,
}

impl KeySetStatus {
    /// The issuer's name, if it has one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// How many keys can be used.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.snapshot.keys()
    }

    /// How many keys of the set cannot be used: of an unknown kind, too weak, a secret, or not for signatures.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.snapshot.skipped()
    }

    /// How long ago the issuer last sent or confirmed the set; none if it never did.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Whether tokens are checked with the set: it is fresh, or the last that could be had and not too old. Where it is
    /// not, requests wait for an answer of the issuer's, or are answered `503`.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.usable
    }

    /// Why the last attempt failed; none if it did not, or if there was none.
    #[must_use]
    pub fn last_error(&self) -> Option<&RefreshError> {
        self.snapshot.failure.as_ref()
    }

    /// Which set it is: 1 for the first, and one more for each that differs; 0 if there is none.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.generation()
    }
}

impl fmt::Debug for KeySetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetStatus")
            .field("issuer", &self.issuer)
            .field("keys", &self.keys())
            .field("skipped", &self.skipped())
            .field("age", &self.age)
            .field("usable", &self.usable)
            .field("last_error", &self.last_error())
            .field("generation", &self.generation())
            .finish()
    }
}
