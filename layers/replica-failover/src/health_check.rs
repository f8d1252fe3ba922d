use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::moment::nanos;
use crate::{Probe, SlowStart};

/// How replicas are asked for their health, and what follows from the answers.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [health_check]
/// probe = "tcp"           # default; see Probe
/// interval = "10s"        # default
/// fast_interval = "1s"    # default
/// time_limit = "2s"       # default
/// jitter = 10             # default, percent
/// rise = 2                # default
/// fall = 3                # default
/// initial = "healthy"     # default; unhealthy, first_check
/// panic_below = 0         # default, percent: off
/// slow_start = { over = "30s", from = 10 } # by default, there is none
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields, remote = "Self"))]
#[must_use = "nothing is checked until a layer knows of it"]
pub struct HealthCheck {
    /// What is asked.
    pub(crate) probe: Probe,
    /// From one check to the next. 10 s.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    interval: Duration,
    /// The same, while a replica's health is in doubt. 1 s.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    fast_interval: Duration,
    /// For an answer; less than the interval. 2 s.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) time_limit: Duration,
    /// Percent by which waits grow, at random. 10.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::percent"))]
    #[cfg_attr(feature = "schema", schemars(range(max = 100)))]
    jitter: u8,
    /// How many good answers in a row make a replica healthy. 2.
    pub(crate) rise: NonZeroU32,
    /// How many bad answers in a row make a replica unhealthy. 3.
    pub(crate) fall: NonZeroU32,
    /// What a replica is taken for before its first check.
    pub(crate) initial: InitialHealth,
    /// Percent of healthy replicas below which all are asked, whatever their health; 0 is never.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::percent"))]
    #[cfg_attr(feature = "schema", schemars(range(max = 100)))]
    panic_below: u8,
    /// How one that recovers, or arrives, gets its requests by and by; all at once when left out.
    pub(crate) slow_start: Option<SlowStart>,
}

impl HealthCheck {
    /// Asks by `probe`, else the defaults as in the section above.
    pub const fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval: Duration::from_secs(10),
            fast_interval: Duration::from_secs(1),
            time_limit: Duration::from_secs(2),
            jitter: 10,
            rise: NonZeroU32::MIN.saturating_add(1),
            fall: NonZeroU32::MIN.saturating_add(2),
            initial: InitialHealth::Healthy,
            panic_below: 0,
            slow_start: None,
        }
    }

    /// Asks every `interval`, or every `fast_interval` as long as a replica's health is in doubt, and gives it
    /// `time_limit` to answer.
    ///
    /// The health is in doubt at first, after an answer against it, and after a change, until twice as many answers
    /// in a row as [`rise`](Self::rise) or [`fall`](Self::fall) needs speak for it. Both intervals are from one
    /// question to the next; a replica is not asked while it still owes an answer.
    ///
    /// # Errors
    ///
    /// If the time limit is zero or no less than the interval, or the fast interval is longer than the interval or less
    /// than 10 ms.
    pub fn timing(
        mut self,
        interval: Duration,
        fast_interval: Duration,
        time_limit: Duration,
    ) -> Result<Self, InvalidTiming> {
        (self.interval, self.fast_interval, self.time_limit) =
            (interval, fast_interval, time_limit);
        self.valid()
    }

    /// Makes each wait longer by up to so many percent of it, at random, so that checks do not fall into step.
    pub const fn jitter(mut self, percent: u8) -> Self {
        self.jitter = percent;
        self
    }

    /// Takes an unhealthy replica for healthy after so many good answers in a row.
    pub const fn rise(mut self, answers: NonZeroU32) -> Self {
        self.rise = answers;
        self
    }

    /// Takes a healthy replica for unhealthy after so many failures in a row.
    pub const fn fall(mut self, failures: NonZeroU32) -> Self {
        self.fall = failures;
        self
    }

    /// What a replica is taken for before its first check.
    pub const fn initial(mut self, initial: InitialHealth) -> Self {
        self.initial = initial;
        self
    }

    /// Asks every replica that is enabled, whatever its health, when less than so many percent of them are healthy.
    ///
    /// Then what is left would drown, or it is the checks that fail. By default that is off: as long as one replica is
    /// healthy, it has all requests, and when none is, the answer is 503. At 1, health is ignored when no replica is
    /// healthy. All tiers are counted together. One that has not been checked counts as what it is taken for.
    pub const fn panic_below(mut self, percent: u8) -> Self {
        self.panic_below = percent;
        self
    }

    /// Lets a replica that was unhealthy have its requests little by little.
    pub const fn slow_start(mut self, slow_start: SlowStart) -> Self {
        self.slow_start = Some(slow_start);
        self
    }

    /// The wait before the first check: some part of the fast interval.
    pub(crate) fn first_wait(&self, random: u64) -> Duration {
        part(self.fast_interval, 100, random)
    }

    /// The time from one check to the next.
    pub(crate) fn wait(&self, settled: bool, random: u64) -> Duration {
        let interval = if settled { self.interval } else { self.fast_interval };
        interval.saturating_add(part(interval, self.jitter, random))
    }

    /// Whether health is ignored, with so many healthy of those enabled.
    pub(crate) fn panics(&self, healthy: usize, enabled: usize) -> bool {
        healthy.saturating_mul(100) < enabled.saturating_mul(self.panic_below.into())
    }

    pub(crate) const fn may_panic(&self) -> bool {
        self.panic_below > 0
    }

    fn valid(self) -> Result<Self, InvalidTiming> {
        if self.time_limit.is_zero() || self.time_limit >= self.interval {
            return Err(InvalidTiming::TimeLimit);
        }
        if self.fast_interval < SHORTEST || self.fast_interval > self.interval {
            return Err(InvalidTiming::FastInterval);
        }
        Ok(self)
    }
}

/// Whether there is a connection to be had.
impl Default for HealthCheck {
    fn default() -> Self {
        Self::new(Probe::Tcp)
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> serde::Deserialize<'de> for HealthCheck {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        // What is derived here is an inherent function, which sees to each key.
        Self::deserialize(input)?.valid().map_err(serde::de::Error::custom)
    }
}

/// What a replica is taken for before its first check.
///
/// It counts for replicas that can be asked as the probe wants it; another always has requests. Without a
/// [`HealthChecker`](crate::HealthChecker) at work it stays so.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum InitialHealth {
    /// For healthy, until as many checks have failed as [`fall`](HealthCheck::fall) needs.
    #[default]
    Healthy,
    /// For unhealthy, until as many checks are good as [`rise`](HealthCheck::rise) needs.
    Unhealthy,
    /// For unhealthy until the first check, which decides alone.
    FirstCheck,
}

/// Intervals and a time limit that do not go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidTiming {
    /// The time limit is zero, or no less than the interval.
    TimeLimit,
    /// The fast interval is longer than the interval, or less than 10 ms.
    FastInterval,
}

impl fmt::Display for InvalidTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeLimit => {
                "the time limit of a check must be more than zero and less than its interval"
            }
            Self::FastInterval => {
                "the fast interval of checks must be 10 ms or more and no longer than the interval"
            }
        })
    }
}

impl Error for InvalidTiming {}

/// A part of so many percent of `whole`, by a random number.
fn part(whole: Duration, percent: u8, random: u64) -> Duration {
    let most = u128::from(nanos(whole)) * u128::from(percent) / 100;
    Duration::from_nanos(u64::try_from((most * u128::from(random >> 32)) >> 32).unwrap_or(u64::MAX))
}

/// A shorter interval is a load, not a check.
const SHORTEST: Duration = Duration::from_millis(10);
