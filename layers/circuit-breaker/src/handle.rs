use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::breaker::Breaker;
use crate::{CircuitState, Snapshot, Transition};

/// Sees and steers a circuit.
///
/// A clone costs one reference. Nothing here takes a lock, but for subscribing.
#[derive(Clone, Debug)]
#[must_use = "a handle does nothing by itself"]
pub struct CircuitBreakerHandle {
    breaker: Arc<Breaker>,
}

impl CircuitBreakerHandle {
    pub(crate) const fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }

    /// Whether a call would be let through now.
    ///
    /// It takes no probe's place, so a call that follows may be refused after all; while it ramps up, which is up to
    /// chance, it says yes. Where a probe is overdue, the circuit opens again on being asked.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.breaker.admits()
    }

    /// After how long a call may be let through: zero if one would be now, or when a probe under way is over; none if it was
    /// opened by hand.
    #[must_use]
    pub fn admits_in(&self) -> Option<Duration> {
        self.breaker.admits_in().map(Duration::from_millis)
    }

    /// Where the circuit stands.
    ///
    /// An open circuit whose time is over stays open until somebody calls.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.breaker.state()
    }

    /// The circuit's numbers.
    ///
    /// With the feature `metrics` this is what sets the two gauges of rates: take one before they are read.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.breaker.snapshot()
    }

    /// Refuses all calls from now on, without `Retry-After`.
    pub fn force_open(&self) {
        self.breaker.force(CircuitState::ForcedOpen);
    }

    /// Lets all calls through from now on, and counts them.
    pub fn force_closed(&self) {
        self.breaker.force(CircuitState::ForcedClosed);
    }

    /// Lets all calls through from now on, and counts nothing.
    pub fn disable(&self) {
        self.breaker.force(CircuitState::Disabled);
    }

    /// Lets all calls through from now on, and only tells when the circuit would have opened.
    pub fn metrics_only(&self) {
        self.breaker.force(CircuitState::MetricsOnly);
    }

    /// Forgets all that was counted, and begins in the policy's [`Mode`](crate::Mode).
    pub fn reset(&self) {
        self.breaker.force(self.breaker.policy().mode.state());
    }

    /// Follows the transitions from now on.
    ///
    /// Who is more than 64 behind loses the oldest, and is told. Two that happen at the same moment may come in either
    /// order.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.breaker.subscribe()
    }
}
