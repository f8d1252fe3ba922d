use tokio::time::Instant;

use crate::CircuitState;

/// Why a circuit changed its state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Too many of the calls in the window failed.
    FailureRate,
    /// Too many calls failed one after the other.
    ConsecutiveFailures,
    /// Too many of the calls in the window were slow.
    SlowCalls,
    /// The time of the state is over.
    Elapsed,
    /// A probe failed, or was slow.
    ProbeFailed,
    /// A probe was not done by the deadline.
    ProbeOverdue,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// Somebody said so.
    Asked,
}

impl Cause {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::SlowCalls => "slow_calls",
            Self::Elapsed => "elapsed",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeOverdue => "probe_overdue",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::Asked => "asked",
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transition {
    change: Change,
    at: Instant,
}

/// What a transition is to the core, which knows no clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) from: CircuitState,
    pub(crate) to: CircuitState,
    pub(crate) cause: Cause,
}

impl Transition {
    pub(crate) const fn new(change: Change, at: Instant) -> Self {
        Self { change, at }
    }

    /// The state before.
    #[must_use]
    pub const fn from(&self) -> CircuitState {
        self.change.from
    }

    /// The state since. [`CircuitState::MetricsOnly`] stays what it is when it would have opened.
    #[must_use]
    pub const fn to(&self) -> CircuitState {
        self.change.to
    }

    /// Why.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.change.cause
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }
}
