/// Where a circuit stands.
///
/// The number of each is what the gauge `circuit_breaker_state` shows.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three bits of the state word are full")]
#[repr(u8)]
pub enum CircuitState {
    /// Calls go through, and are judged.
    #[default]
    Closed = 0,
    /// Calls are refused until some time is over.
    Open = 1,
    /// A few calls go through as probes, the rest are refused.
    HalfOpen = 2,
    /// A growing share of calls go through, and are judged.
    RampUp = 3,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen = 4,
    /// Calls go through and are counted, and nothing comes of it until somebody says otherwise.
    ForcedClosed = 5,
    /// Calls go through, and nothing is counted.
    Disabled = 6,
    /// Calls go through and are judged, and all that comes of it is a transition from here to here.
    MetricsOnly = 7,
}

impl CircuitState {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::RampUp => "ramp_up",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        match bits & 7 {
            0 => Self::Closed,
            1 => Self::Open,
            2 => Self::HalfOpen,
            3 => Self::RampUp,
            4 => Self::ForcedOpen,
            5 => Self::ForcedClosed,
            6 => Self::Disabled,
            _ => Self::MetricsOnly,
        }
    }
}
