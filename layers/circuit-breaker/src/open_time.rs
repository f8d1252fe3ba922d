use std::time::Duration;

use crate::rate::MILLION;
use crate::{InvalidPolicy, Rate};

/// How long a circuit stays open before it is tried again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::OpenTimeSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::OpenTimeSection"))]
pub struct OpenTime {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) jitter: Option<Rate>,
    pub(crate) retry_after_up_to: Option<Duration>,
}

impl OpenTime {
    /// `first` after the first failure, twice as long after each further one that comes before it has closed, and at most
    /// `longest`; a tenth more at random, so that many who opened together do not try together.
    ///
    /// # Errors
    ///
    /// When `first` is less than a millisecond, or exceeds `longest`.
    pub fn new(first: Duration, longest: Duration) -> Result<Self, InvalidPolicy> {
        if first < MILLISECOND {
            return Err(InvalidPolicy::TooShort("the first time open"));
        }
        if first > longest {
            return Err(InvalidPolicy::FirstExceedsLongest);
        }
        Ok(Self { first, longest, ..Self::default() })
    }

    /// Adds up to this share at random. 0.1.
    #[must_use]
    pub const fn jitter(mut self, jitter: Rate) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// Adds nothing.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = None;
        self
    }

    /// Stays open for at least as long as the response that opened it says in `Retry-After`, but not because of that
    /// longer than `longest`. Not at all.
    ///
    /// Seconds are understood (RFC 9110 §10.2.3), dates are not.
    #[must_use]
    pub const fn retry_after_up_to(mut self, longest: Duration) -> Self {
        self.retry_after_up_to = Some(longest);
        self
    }

    /// The time after so many `trips` in a row, the first of which is 1.
    pub(crate) fn after(&self, trips: u8, retry_after: Option<Duration>, random: u64) -> Duration {
        let doublings = u32::from(trips.saturating_sub(1));
        let time = self.first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let time = time.min(self.longest);

        let jitter = self.jitter.map_or(0, Rate::millionths);
        let share = ((u64::from(jitter) * (random >> 32)) >> 32) as u32;
        let time = time.saturating_add(time.saturating_mul(share) / MILLION);
        let told = retry_after.unwrap_or_default().min(self.retry_after_up_to.unwrap_or_default());
        time.max(told)
    }
}

/// 5 seconds, and at most a minute.
impl Default for OpenTime {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            jitter: Some(Rate::percent(10)),
            retry_after_up_to: None,
        }
    }
}

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
