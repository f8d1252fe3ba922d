use std::fmt;
use std::sync::Arc;

use crate::ledger::Ledger;
use crate::{Key, Quota, Refused};

/// Sees what a [`Limit`](crate::Limit) holds in the memory of this process, and steers it.
///
/// Of what a store shares it sees nothing.
#[derive(Clone)]
#[must_use = "a handle does nothing by itself"]
pub struct RateLimitHandle {
    ledger: Arc<Ledger>,
}

impl RateLimitHandle {
    pub(crate) const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.ledger.name
    }

    /// How much is allowed now.
    pub fn quota(&self) -> Quota {
        self.ledger.quota()
    }

    /// Allows another quota from now on, in all layers that the limit stands in.
    ///
    /// What a key has used stays used, unit by unit, up to the whole of the new allowance. It walks the whole table; a
    /// request that comes meanwhile is judged by either quota. In a shared store all keys begin anew when a unit comes
    /// back in another time than before.
    pub fn change_quota(&self, quota: Quota) {
        self.ledger.change_quota(quota);
    }

    /// How many keys have used some of their allowance.
    ///
    /// It looks through the whole table: for people and for scrapes, not for requests.
    #[must_use]
    pub fn keys_in_use(&self) -> usize {
        self.ledger.table.used(self.ledger.now())
    }

    /// How many keys have a place, whether they still need it or not.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.ledger.table.keys()
    }

    /// How many keys there is a place for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ledger.table.capacity()
    }

    /// The bytes that the table takes, now as ever.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ledger.table.bytes()
    }

    /// How many requests wait for it.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ledger.waiters.len()
    }

    /// Up to so many of the keys that were refused most, the most often refused first; 64 are remembered at the most.
    ///
    /// In a flood of keys the counts of the list are too high, by no more than they say.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<Refused> {
        self.ledger.refusals.top(most)
    }

    /// Lets `key` start anew.
    pub fn forget(&self, key: &Key) {
        self.ledger.table.forget(self.ledger.hash(key));
    }
}

impl fmt::Debug for RateLimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle").field("name", &self.name()).finish_non_exhaustive()
    }
}
