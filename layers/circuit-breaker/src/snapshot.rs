use std::time::Duration;

use crate::CircuitState;
use crate::calls::Totals;
use crate::standing::Standing;

/// A circuit's numbers at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Snapshot {
    pub(crate) standing: Standing,
    pub(crate) left: Option<Duration>,
    pub(crate) totals: Totals,
    pub(crate) failures_in_a_row: u32,
    pub(crate) rejected: u64,
    pub(crate) stale: u64,
}

impl Snapshot {
    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> CircuitState {
        self.standing.state
    }

    /// How long that lasts at most, for states that end by themselves.
    #[must_use]
    pub const fn left(&self) -> Option<Duration> {
        self.left
    }

    /// How many calls are in the window, which is kept until it is half open: what opened it can be seen while it is.
    #[must_use]
    pub const fn calls(&self) -> u32 {
        self.totals.calls
    }

    /// How many of them failed.
    #[must_use]
    pub const fn failed(&self) -> u32 {
        self.totals.failed
    }

    /// How many of them were slow.
    #[must_use]
    pub const fn slow(&self) -> u32 {
        self.totals.slow
    }

    /// The share that failed, 0 of none.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        share(self.totals.failed, self.totals.calls)
    }

    /// The share that was slow, 0 of none.
    #[must_use]
    pub fn slow_rate(&self) -> f64 {
        share(self.totals.slow, self.totals.calls)
    }

    /// How many calls have failed since the last success.
    #[must_use]
    pub const fn consecutive_failures(&self) -> u32 {
        self.failures_in_a_row
    }

    /// How often it has opened since it was last closed for good; 31 stands for more, too.
    #[must_use]
    pub const fn trips(&self) -> u8 {
        self.standing.trips
    }

    /// How many probes are on their way.
    #[must_use]
    pub const fn probes(&self) -> u16 {
        self.standing.probes
    }

    /// How many probes have succeeded since it is half open.
    #[must_use]
    pub const fn probe_successes(&self) -> u16 {
        self.standing.successes
    }

    /// How many calls it has refused in its life.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// How many calls ended that it did not count, since it had changed in between, in its life.
    #[must_use]
    pub const fn stale(&self) -> u64 {
        self.stale
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}
