//! What is known of an issuer's keys, at one moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::RefreshError;
use crate::keys::Keys;
use crate::refresh::Good;

/// What requests need to know. It is replaced, never changed.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) set: Option<Arc<Set>>,
    pub(crate) good: Option<Good>,
    pub(crate) due: Option<Instant>,
    pub(crate) failure: Option<RefreshError>,
    /// How often somebody has asked, with or without success.
    pub(crate) landings: u64,
}

/// A set of keys as it came.
pub(crate) struct Set {
    pub(crate) keys: Keys,
    pub(crate) skipped: usize,
    pub(crate) generation: u64,
    pub(crate) document: Vec<u8>,
}

impl Snapshot {
    /// The set, while it may be used: fresh, or the last that could be had.
    pub(crate) fn usable(&self, now: Instant) -> Option<&Set> {
        let good = self.good?;
        let usable = if self.failure.is_some() { now < good.dies } else { now < good.lapses };
        self.set.as_deref().filter(|_| usable)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Zero until there is a set. The next one has the next number.
    pub(crate) fn generation(&self) -> u64 {
        self.set.as_ref().map_or(0, |set| set.generation)
    }

    pub(crate) fn keys(&self) -> usize {
        self.set.as_ref().map_or(0, |set| set.keys.len())
    }

    pub(crate) fn skipped(&self) -> usize {
        self.set.as_ref().map_or(0, |set| set.skipped)
    }

    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.good.map(|good| now.saturating_duration_since(good.since))
    }
}
