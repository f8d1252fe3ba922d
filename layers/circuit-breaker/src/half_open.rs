use std::num::NonZeroU16;
use std::time::Duration;

use crate::InvalidPolicy;
use crate::open_time::MILLISECOND;

/// How a circuit finds out whether it may close.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::HalfOpenSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::HalfOpenSection"))]
pub struct HalfOpen {
    pub(crate) concurrent: NonZeroU16,
    pub(crate) successes: NonZeroU16,
    pub(crate) deadline: Duration,
}

impl HalfOpen {
    /// Lets up to `concurrent` calls through at a time, closes after so many `successes`, and opens again at the first
    /// failure, or when a probe is not done by the `deadline`.
    ///
    /// The deadline counts from the first probe; where outcomes are recorded at the last byte, anew from the latest
    /// headers. If no probe is on its way when it passes, the successes so far are forgotten, and nothing else happens.
    ///
    /// # Errors
    ///
    /// When the deadline is less than a millisecond.
    pub fn new(
        concurrent: NonZeroU16,
        successes: NonZeroU16,
        deadline: Duration,
    ) -> Result<Self, InvalidPolicy> {
        if deadline < MILLISECOND {
            return Err(InvalidPolicy::TooShort("the deadline of probes"));
        }
        Ok(Self { concurrent, successes, deadline })
    }
}

/// One at a time, two successes, 30 seconds.
impl Default for HalfOpen {
    fn default() -> Self {
        const TWO: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);
        Self { concurrent: NonZeroU16::MIN, successes: TWO, deadline: Duration::from_secs(30) }
    }
}
