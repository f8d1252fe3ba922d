use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// How much is allowed: so many units in a time, and how many of them at once.
///
/// Units come back one by one, evenly: of `100/s` one every 10 ms. The burst is how many there are at most, when nothing
/// was used for a while; it is the number of the rate unless it is said.
///
/// # Configuration
///
/// As text: `"100/s"`, `"100/s burst 20"`, `"5000/h burst 100"`, with `s`, `m`, `h` or `d`, or a time: `"1/250ms"`.
///
/// ```
/// use portcullis_rate_limit::Quota;
/// use std::num::NonZeroU32;
///
/// let quota: Quota = "100/s burst 20".parse()?;
///
/// let number = |number| NonZeroU32::new(number).unwrap();
/// assert_eq!(quota, Quota::per_second(number(100)).burst(number(20)));
/// # Ok::<(), portcullis_rate_limit::InvalidQuota>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[must_use = "a quota does nothing until a limit applies it"]
pub struct Quota {
    units: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
    /// In nanoseconds, rounded up, so that no more comes back than was said.
    interval: u64,
}

/// Says why text or numbers are no [`Quota`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidQuota {
    /// It is not of the form `100/s burst 20`.
    Form,
    /// A number is zero, or more than 4,294,967,295.
    Number,
    /// The time is zero, or longer than a year for all that comes back.
    Period,
}

impl Quota {
    /// So many units each second.
    pub const fn per_second(units: NonZeroU32) -> Self {
        Self::unchecked(units, Duration::from_secs(1))
    }

    /// So many units each minute.
    pub const fn per_minute(units: NonZeroU32) -> Self {
        Self::unchecked(units, Duration::from_secs(60))
    }

    /// So many units each hour.
    pub const fn per_hour(units: NonZeroU32) -> Self {
        Self::unchecked(units, Duration::from_secs(3600))
    }

    /// One unit each `period`, and a burst of one.
    ///
    /// # Errors
    ///
    /// When it is zero or longer than a year.
    pub fn every(period: Duration) -> Result<Self, InvalidQuota> {
        Self::unchecked(NonZeroU32::MIN, period).checked()
    }

    /// So many units in each `period`.
    ///
    /// # Errors
    ///
    /// When it is zero, or longer than a year.
    pub fn per(units: NonZeroU32, period: Duration) -> Result<Self, InvalidQuota> {
        Self::unchecked(units, period).checked()
    }

    /// Allows so many units at once.
    ///
    /// A burst that would take longer than a year to come back is as large as comes back in a year.
    pub fn burst(mut self, units: NonZeroU32) -> Self {
        let most = NANOS_OF_A_YEAR / self.interval;
        let most = u32::try_from(most).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        self.burst = units.min(most);
        self
    }

    /// How many units there are at most.
    #[must_use]
    pub const fn most(&self) -> NonZeroU32 {
        self.burst
    }

    /// The time in which one unit comes back, rounded up to a nanosecond.
    #[must_use]
    pub fn interval_of_one(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// The nanoseconds in which one unit comes back, and how many there are at most.
    pub(crate) const fn interval_and_burst(&self) -> (u64, NonZeroU32) {
        (self.interval, self.burst)
    }

    /// The quota and its window in whole seconds, as the `RateLimit-Policy` field has them.
    ///
    /// A window of less than a second is one of a second with as much more; one of a broken number is the next whole one,
    /// so that what is promised is never more than what is given.
    pub(crate) fn advertised(&self) -> (u64, u64) {
        let nanos = self.period.as_nanos();
        if nanos < NANOS {
            let units = u128::from(self.units.get()) * NANOS / nanos;
            return (u64::try_from(units).unwrap_or(u64::MAX), 1);
        }
        let seconds = self.period.as_secs() + u64::from(self.period.subsec_nanos() > 0);
        (self.units.get().into(), seconds)
    }

    const fn unchecked(units: NonZeroU32, period: Duration) -> Self {
        let interval = period.as_nanos().div_ceil(units.get() as u128);
        let interval = if interval < LONGEST as u128 {
            #[expect(clippy::cast_possible_truncation, reason = "it is less than the longest")]
            let interval = interval as u64;
            interval
        } else {
            LONGEST
        };
        Self { units, period, burst: units, interval: if interval == 0 { 1 } else { interval } }
    }

    fn checked(self) -> Result<Self, InvalidQuota> {
        let whole = u128::from(self.interval) * u128::from(self.burst.get());
        let fits = !self.period.is_zero() && whole <= u128::from(NANOS_OF_A_YEAR);
        fits.then_some(self).ok_or(InvalidQuota::Period)
    }
}

/// `"100/s burst 20"`.
impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let mut words = text.split_ascii_whitespace();
        let (units, period) =
            words.next().and_then(|rate| rate.split_once('/')).ok_or(InvalidQuota::Form)?;
        let quota = Self::per(number(units)?, time(period)?)?;
        match (words.next(), words.next(), words.next()) {
            (None, ..) => Ok(quota),
            (Some("burst"), Some(units), None) => {
                let burst = number(units)?;
                let asked = Self { burst, ..quota };
                asked.checked()
            }
            _ => Err(InvalidQuota::Form),
        }
    }
}

impl TryFrom<String> for Quota {
    type Error = InvalidQuota;

    fn try_from(text: String) -> Result<Self, InvalidQuota> {
        text.parse()
    }
}

/// As it is read.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units;
        let nanos = self.period.as_nanos();
        let whole = UNITS.iter().find(|(_, unit)| nanos % unit == 0);
        match whole.map(|(name, unit)| (name, nanos / unit)) {
            Some((name, 1)) => write!(f, "{units}/{name}")?,
            Some((name, count)) => write!(f, "{units}/{count}{name}")?,
            None => write!(f, "{units}/{nanos}ns")?,
        }
        write!(f, " burst {}", self.burst)
    }
}

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a quota like \"100/s\" or \"100/s burst 20\" is needed here",
            Self::Number => "the numbers of a quota are from 1 to 4294967295",
            Self::Period => "a quota comes back within a year, and not at once",
        })
    }
}

impl Error for InvalidQuota {}

fn number(text: &str) -> Result<NonZeroU32, InvalidQuota> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidQuota::Form);
    }
    text.parse().map_err(|_| InvalidQuota::Number)
}

/// A unit, or a number of it.
fn time(text: &str) -> Result<Duration, InvalidQuota> {
    let start = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(start).ok_or(InvalidQuota::Form)?;
    let count = if digits.is_empty() { Ok(1_u128) } else { digits.parse() };
    let count = count.map_err(|_| InvalidQuota::Number)?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(InvalidQuota::Form)?;
    let nanos = count.checked_mul(*nanos).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos).ok_or(InvalidQuota::Period)
}

const NANOS: u128 = 1_000_000_000;
/// Longer than is allowed.
const LONGEST: u64 = u64::MAX >> 1;
const NANOS_OF_A_YEAR: u64 = 366 * 86_400 * 1_000_000_000;
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400 * NANOS),
    ("h", 3_600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
