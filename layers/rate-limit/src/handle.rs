use std::sync::Arc;

use crate::Key;
use crate::gate::Limits;

/// Sees what the limits of a [`RateLimitLayer`](crate::RateLimitLayer) hold in memory, and lets keys start anew.
///
/// Of what a store shares it sees nothing.
#[derive(Clone, Debug)]
#[must_use = "a handle does nothing by itself"]
pub struct RateLimitHandle {
    limits: Arc<Limits>,
}

impl RateLimitHandle {
    pub(crate) const fn new(limits: Arc<Limits>) -> Self {
        Self { limits }
    }

    /// How many keys of a limit have used some of their allowance; none if there is no limit of this name.
    ///
    /// It looks through the whole table: for people and for scrapes, not for requests.
    #[must_use]
    pub fn keys_in_use(&self, limit: &str) -> Option<usize> {
        Some(self.limits.memory.used(self.limits.index(limit)?))
    }

    /// How many keys of a limit have a place, whether they still need it or not; none if there is no limit of this name.
    #[must_use]
    pub fn keys(&self, limit: &str) -> Option<u64> {
        Some(self.limits.memory.table(self.limits.index(limit)?)?.keys())
    }

    /// How many keys a limit has a place for; none if there is no limit of this name.
    #[must_use]
    pub fn capacity(&self, limit: &str) -> Option<usize> {
        Some(self.limits.memory.table(self.limits.index(limit)?)?.capacity())
    }

    /// The bytes that a limit's table takes, now as ever; none if there is no limit of this name.
    #[must_use]
    pub fn bytes(&self, limit: &str) -> Option<usize> {
        Some(self.limits.memory.table(self.limits.index(limit)?)?.bytes())
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.limits.waiters.len()
    }

    /// Lets `key` start anew with a limit, if there is one of this name.
    pub fn forget(&self, limit: &str, key: &Key) {
        if let Some(limit) = self.limits.index(limit) {
            self.limits.memory.forget(limit, key);
        }
    }
}
