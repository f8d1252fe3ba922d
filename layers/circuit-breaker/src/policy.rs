use std::num::NonZeroU32;

use crate::{CircuitState, HalfOpen, OpenTime, RampUp, Rate, SlowCalls, Until, Window};

/// When a circuit opens, for how long, and how it closes again.
///
/// # Configuration
///
/// With the `serde` feature it is read straight from a configuration file. Every section and every key but `threshold`,
/// `rate` and `time` may be left out, and is then what is shown, or off where the comment says so; an unknown key, or a
/// policy that makes no sense, is an error.
///
/// ```toml
/// failure_rate = 0.5          # of the calls in the window; 1 is all
/// consecutive_failures = 5    # off
/// record_at = "headers"       # or "last_byte"
/// mode = "automatic"          # or "metrics_only", "disabled", "forced_open", "forced_closed"
///
/// [window]
/// time = "30s"                # or `calls = 100`
/// minimum_calls = 20
///
/// [slow_calls]                # off
/// threshold = "2s"
/// rate = 0.8
/// until = "headers"           # or "last_byte"
///
/// [open]
/// first = "5s"
/// longest = "1m"
/// jitter = 0.1                # 0 is none
/// retry_after_up_to = "5m"    # off
///
/// [half_open]
/// concurrent = 1
/// successes = 2
/// deadline = "30s"
///
/// [ramp_up]                   # off
/// time = "10s"
/// from = 0.1
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct CircuitBreakerPolicy {
    /// Which calls the rates are taken of.
    pub(crate) window: Window,
    /// The share of failures that opens the circuit.
    pub(crate) failure_rate: Rate,
    /// How many failures in a row open it, too; off when left out.
    pub(crate) consecutive_failures: Option<NonZeroU32>,
    /// How many slow calls open it, too; off when left out.
    pub(crate) slow_calls: Option<SlowCalls>,
    /// How long it stays open.
    #[cfg_attr(feature = "serde", serde(rename = "open"))]
    pub(crate) open_time: OpenTime,
    /// How it is tried again.
    pub(crate) half_open: HalfOpen,
    /// How fast requests come back after it has closed; all at once when left out.
    pub(crate) ramp_up: Option<RampUp>,
    /// When a call counts: at its headers, or at its last byte.
    pub(crate) record_at: Until,
    /// What the circuit is at first.
    pub(crate) mode: Mode,
}

/// What a circuit is at first, and after [`reset`](crate::CircuitBreakerHandle::reset).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "the states that do not come about by themselves")]
pub enum Mode {
    /// [`CircuitState::Closed`]: it opens and closes by itself.
    #[default]
    Automatic,
    /// [`CircuitState::MetricsOnly`].
    MetricsOnly,
    /// [`CircuitState::Disabled`].
    Disabled,
    /// [`CircuitState::ForcedOpen`].
    ForcedOpen,
    /// [`CircuitState::ForcedClosed`].
    ForcedClosed,
}

impl CircuitBreakerPolicy {
    /// Opens when half the calls fail, out of at least 20 in 30 seconds, and what each verb says to be the default.
    pub fn new() -> Self {
        Self {
            window: Window::default(),
            failure_rate: Rate::percent(50),
            consecutive_failures: None,
            slow_calls: None,
            open_time: OpenTime::default(),
            half_open: HalfOpen::default(),
            ramp_up: None,
            record_at: Until::Headers,
            mode: Mode::Automatic,
        }
    }

    /// Which calls rates are taken of. 30 seconds, and at least 20 calls.
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Opens when this share of the calls in the window has failed, or more. 0.5.
    ///
    /// Rates are looked at when a call fails or is slow: a success never opens a circuit.
    pub const fn failure_rate(mut self, rate: Rate) -> Self {
        self.failure_rate = rate;
        self
    }

    /// Opens when so many calls fail without a success in between, whatever the window holds. Off.
    pub const fn consecutive_failures(mut self, failures: NonZeroU32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }

    /// Opens when too many calls are slow, whether they fail or not. Off.
    pub const fn slow_calls(mut self, slow_calls: SlowCalls) -> Self {
        self.slow_calls = Some(slow_calls);
        self
    }

    /// How long it stays open. 5 seconds at first, at most a minute.
    pub const fn open_time(mut self, open_time: OpenTime) -> Self {
        self.open_time = open_time;
        self
    }

    /// How it finds out whether it may close. One probe at a time, two successes, 30 seconds.
    pub const fn half_open(mut self, half_open: HalfOpen) -> Self {
        self.half_open = half_open;
        self
    }

    /// Lets calls through by and by once it closes. All at once.
    pub const fn ramp_up(mut self, ramp_up: RampUp) -> Self {
        self.ramp_up = Some(ramp_up);
        self
    }

    /// When a call is over: at the headers, or at the last byte. At the headers.
    ///
    /// At the last byte broken bodies and the status in gRPC trailers are seen. A probe then lasts until its end, and one
    /// that streams past the deadline opens the circuit again: for services whose responses end.
    pub const fn record_at(mut self, until: Until) -> Self {
        self.record_at = until;
        self
    }

    /// What it is at first. [`Mode::Automatic`].
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where a call is over after all: what is measured to the last byte is known no sooner.
    pub(crate) fn recorded_at(&self) -> Until {
        match &self.slow_calls {
            Some(slow_calls) if slow_calls.until == Until::LastByte => Until::LastByte,
            _ => self.record_at,
        }
    }
}

/// The same as [`CircuitBreakerPolicy::new`].
impl Default for CircuitBreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Mode {
    pub(crate) const fn state(self) -> CircuitState {
        match self {
            Self::Automatic => CircuitState::Closed,
            Self::MetricsOnly => CircuitState::MetricsOnly,
            Self::Disabled => CircuitState::Disabled,
            Self::ForcedOpen => CircuitState::ForcedOpen,
            Self::ForcedClosed => CircuitState::ForcedClosed,
        }
    }
}
