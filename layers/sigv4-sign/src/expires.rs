use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long a presigned URL is valid: one second to seven days, in whole seconds.
///
/// With the `serde` feature it is read from text such as `"15m"`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Expires(u32);

impl Expires {
    /// The most that AWS accepts: seven days.
    pub const MAX: Self = Self(7 * 24 * 60 * 60);

    /// Valid for `time`; parts of a second are dropped.
    ///
    /// # Errors
    ///
    /// When it is shorter than a second or longer than seven days.
    pub fn new(time: Duration) -> Result<Self, InvalidExpires> {
        match u32::try_from(time.as_secs()) {
            Ok(seconds @ 1..) if time <= Self::MAX.as_duration() => Ok(Self(seconds)),
            _ => Err(InvalidExpires),
        }
    }

    /// The time as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl TryFrom<Duration> for Expires {
    type Error = InvalidExpires;

    fn try_from(time: Duration) -> Result<Self, InvalidExpires> {
        Self::new(time)
    }
}

/// A presigned URL cannot be valid for so long, or so short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidExpires;

impl fmt::Display for InvalidExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a presigned URL is valid for one second to seven days")
    }
}

impl Error for InvalidExpires {}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Expires {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let text = String::deserialize(input)?;
        let time = humantime::parse_duration(&text)
            .map_err(|_| D::Error::custom("a duration like \"30s\" or \"5m\" is needed here"))?;
        Self::new(time).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
impl schemars::JsonSchema for Expires {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expires".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        crate::schema::duration(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_aws() {
        let seconds = |seconds| Expires::new(Duration::from_secs_f64(seconds));

        assert_eq!(seconds(1.9).map(Expires::as_duration), Ok(Duration::from_secs(1)));
        assert_eq!(seconds(604_800.0), Ok(Expires::MAX));
        for refused in [0.0, 0.9, 604_800.1, 1e12] {
            assert_eq!(seconds(refused), Err(InvalidExpires), "{refused}");
        }
    }
}
