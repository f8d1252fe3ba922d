use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Ignored;

/// Tells what the services of one [`HopByHopLayer`](crate::HopByHopLayer) and its clones have ignored.
#[derive(Clone, Debug)]
#[must_use = "a handle is there to be asked"]
pub struct HopByHopHandle {
    counters: Arc<Counters>,
}

impl HopByHopHandle {
    pub(super) const fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }

    /// The nominations ignored in requests so far.
    #[must_use]
    pub fn ignored_in_requests(&self) -> Ignored {
        self.counters.requests.sum()
    }

    /// The nominations ignored in responses so far.
    #[must_use]
    pub fn ignored_in_responses(&self) -> Ignored {
        self.counters.responses.sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: Counter,
    pub(super) responses: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter {
    malformed: AtomicU64,
    protected: AtomicU64,
    excess: AtomicU64,
}

impl Counter {
    /// Adds what was ignored; nothing at all writes no memory that is shared between threads.
    ///
    /// Relaxed, as the counts order nothing else.
    pub(super) fn add(&self, ignored: Ignored) {
        if ignored.is_empty() {
            return;
        }
        self.malformed.fetch_add(ignored.malformed, Ordering::Relaxed);
        self.protected.fetch_add(ignored.protected, Ordering::Relaxed);
        self.excess.fetch_add(ignored.excess, Ordering::Relaxed);
    }

    fn sum(&self) -> Ignored {
        Ignored {
            malformed: self.malformed.load(Ordering::Relaxed),
            protected: self.protected.load(Ordering::Relaxed),
            excess: self.excess.load(Ordering::Relaxed),
        }
    }
}
