use std::time::Duration;

use crate::open_time::MILLISECOND;
use crate::rate::MILLION;
use crate::{InvalidPolicy, Rate};

/// How a circuit that closes lets calls through again: a growing share of them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::RampUpSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::RampUpSection"))]
pub struct RampUp {
    time: Duration,
    from: Rate,
}

impl RampUp {
    /// Admits the share `from` at first, at random, and evenly more until all are after `time`.
    ///
    /// A circuit that opens while it ramps up stays open for twice as long as the last time.
    ///
    /// # Errors
    ///
    /// When the time is less than a millisecond.
    pub fn new(time: Duration, from: Rate) -> Result<Self, InvalidPolicy> {
        if time < MILLISECOND {
            return Err(InvalidPolicy::TooShort("the time to ramp up"));
        }
        Ok(Self { time, from })
    }

    pub(crate) const fn time(&self) -> Duration {
        self.time
    }

    /// How long a call has to wait that drew `random`, when `left` milliseconds are left of `time`: until its share is
    /// reached, which may be now.
    pub(crate) fn wait(&self, left: u64, random: u64) -> u64 {
        let (from, whole) = (u64::from(self.from.millionths()), u64::from(MILLION));
        let drawn = ((random >> 32) * whole) >> 32; // 0..MILLION, and admitted below the share
        if drawn < from {
            return 0;
        }
        let time = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        // The share at which it is admitted is reached when this much is left.
        let left_then = u128::from(time) * u128::from(whole - drawn - 1) / u128::from(whole - from);
        left.saturating_sub(u64::try_from(left_then).unwrap_or(u64::MAX))
    }
}
