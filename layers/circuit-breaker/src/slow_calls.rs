use std::time::Duration;

use crate::{InvalidPolicy, Rate};

/// A point in a response.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "a response has a head and a body")]
pub enum Until {
    /// Its headers are there.
    #[default]
    Headers,
    /// Its last byte or its trailers are there.
    LastByte,
}

/// How many slow calls open a circuit.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::SlowCallsSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::SlowCallsSection"))]
pub struct SlowCalls {
    pub(crate) threshold: Duration,
    pub(crate) rate: Rate,
    pub(crate) until: Until,
}

impl SlowCalls {
    /// Opens when `rate` of the calls in the window, or more, take `threshold`, or longer, until their headers.
    ///
    /// A probe that is slow has failed.
    ///
    /// # Errors
    ///
    /// When the threshold is zero.
    pub const fn new(threshold: Duration, rate: Rate) -> Result<Self, InvalidPolicy> {
        if threshold.is_zero() {
            return Err(InvalidPolicy::TooShort("the threshold of slow calls"));
        }
        Ok(Self { threshold, rate, until: Until::Headers })
    }

    /// Measures to another point.
    ///
    /// To measure to the last byte means to record there, too, whatever
    /// [`CircuitBreakerPolicy::record_at`](crate::CircuitBreakerPolicy::record_at) says.
    #[must_use]
    pub const fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }
}
