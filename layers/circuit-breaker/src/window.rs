use std::time::Duration;

use crate::InvalidPolicy;

/// Which calls the rates are taken of.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::WindowSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::WindowSection"))]
pub struct Window {
    pub(crate) span: Span,
    pub(crate) minimum_calls: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Span {
    Calls(u32),
    Time(Duration),
}

impl Window {
    /// The last `calls`, however long ago, and no judgement before there are `minimum_calls`.
    ///
    /// It takes a quarter of a byte for each call, and no look at the clock.
    ///
    /// # Errors
    ///
    /// When either is zero, the minimum is larger than the window, or the window larger than a million.
    pub fn calls(calls: u32, minimum_calls: u32) -> Result<Self, InvalidPolicy> {
        if calls == 0 || calls > MOST_CALLS {
            return Err(InvalidPolicy::Calls);
        }
        if minimum_calls == 0 || minimum_calls > calls {
            return Err(InvalidPolicy::MinimumCalls);
        }
        Ok(Self { span: Span::Calls(calls), minimum_calls })
    }

    /// The calls of the last `time`, and no judgement before there are `minimum_calls` among them.
    ///
    /// Time passes in tenths: between nine and ten of them are in view. It takes the same memory for any number of calls.
    ///
    /// # Errors
    ///
    /// When the time is less than 10 ms, or the minimum zero.
    pub const fn time(time: Duration, minimum_calls: u32) -> Result<Self, InvalidPolicy> {
        if time.as_millis() < 10 {
            return Err(InvalidPolicy::TooShort("the window"));
        }
        if minimum_calls == 0 {
            return Err(InvalidPolicy::MinimumCalls);
        }
        Ok(Self { span: Span::Time(time), minimum_calls })
    }
}

/// 30 seconds, and at least 20 calls.
impl Default for Window {
    fn default() -> Self {
        Self { span: Span::Time(Duration::from_secs(30)), minimum_calls: 20 }
    }
}

const MOST_CALLS: u32 = 1_000_000;
