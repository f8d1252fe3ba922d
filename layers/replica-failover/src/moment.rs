use std::time::Duration;

use tokio::time::Instant;

/// A point in time as atomics hold it: nanoseconds since the layer was made, plus one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn of(now: Instant, base: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(base)).saturating_add(1))
    }

    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Never zero.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Zero is no moment.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }
}

/// Five hundred years are as good as for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
