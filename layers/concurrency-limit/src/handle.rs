use std::sync::Arc;

use crate::gate::Gate;

/// Sees what a [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer) has under way.
#[derive(Clone, Debug)]
#[must_use = "a handle does nothing by itself"]
pub struct ConcurrencyLimitHandle {
    gate: Arc<Gate>,
}

impl ConcurrencyLimitHandle {
    pub(crate) const fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }

    /// The limit, as it is now if it adapts; that which a new key begins with, if there is one for each.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.gate.limit()
    }

    /// How many requests are under way, tunnels included; none if there is a limit for each key.
    #[must_use]
    pub fn under_way(&self) -> Option<u32> {
        self.gate.taken()
    }

    /// How many requests wait; none if there is a limit for each key.
    #[must_use]
    pub fn waiting(&self) -> Option<u32> {
        self.gate.waiting()
    }

    /// How many keys have requests under way, or that wait.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.gate.keys()
    }
}
