//! What the sections of a configuration file say, before it is made sense of.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::{HalfOpen, InvalidPolicy, OpenTime, RampUp, Rate, SlowCalls, Until, Window};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WindowSection {
    /// The calls of so long. 30 s, unless `calls` is there.
    #[serde(deserialize_with = "some_duration")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    time: Option<Duration>,
    /// The last calls, so many of them, in place of `time`.
    calls: Option<u32>,
    /// How many calls there must be before a rate says anything. 20.
    minimum_calls: Option<u32>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowCallsSection {
    /// From when on a call is slow.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    threshold: Duration,
    /// The share of slow calls that opens the circuit.
    rate: Rate,
    /// What is waited for: the headers, or the last byte.
    #[serde(default)]
    until: Until,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OpenTimeSection {
    /// After the first failure.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    first: Duration,
    /// At most, after many.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    longest: Duration,
    /// The share that is added at random; 0 is none.
    jitter: f64,
    /// How much of it a `Retry-After` of the service may ask for; off when left out.
    #[serde(deserialize_with = "some_duration")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    retry_after_up_to: Option<Duration>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HalfOpenSection {
    /// How many probes there are at once.
    concurrent: NonZeroU16,
    /// How many must succeed before the circuit closes.
    successes: NonZeroU16,
    /// How long a probe may take before it has failed.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    deadline: Duration,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RampUpSection {
    /// How long it takes until all requests are let through.
    #[serde(deserialize_with = "duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    time: Duration,
    /// The share that is let through at first.
    #[serde(default = "tenth")]
    from: Rate,
}

impl TryFrom<WindowSection> for Window {
    type Error = InvalidPolicy;

    fn try_from(section: WindowSection) -> Result<Self, InvalidPolicy> {
        let Self { span, minimum_calls: usual } = Self::default();
        match (section.time, section.calls, section.minimum_calls) {
            (Some(_), Some(_), _) => Err(InvalidPolicy::TimeAndCalls),
            (_, Some(calls), minimum) => {
                Self::calls(calls, minimum.unwrap_or_else(|| usual.min(calls)))
            }
            (Some(time), _, minimum) => Self::time(time, minimum.unwrap_or(usual)),
            (_, _, Some(0)) => Err(InvalidPolicy::MinimumCalls),
            (_, _, minimum) => Ok(Self { span, minimum_calls: minimum.unwrap_or(usual) }),
        }
    }
}

impl TryFrom<SlowCallsSection> for SlowCalls {
    type Error = InvalidPolicy;

    fn try_from(section: SlowCallsSection) -> Result<Self, InvalidPolicy> {
        Ok(Self::new(section.threshold, section.rate)?.until(section.until))
    }
}

impl TryFrom<OpenTimeSection> for OpenTime {
    type Error = InvalidPolicy;

    fn try_from(section: OpenTimeSection) -> Result<Self, InvalidPolicy> {
        let time = Self::new(section.first, section.longest)?;
        let time = match section.jitter {
            0.0 => time.without_jitter(),
            jitter => time.jitter(Rate::new(jitter)?),
        };
        Ok(match section.retry_after_up_to {
            Some(longest) => time.retry_after_up_to(longest),
            None => time,
        })
    }
}

impl TryFrom<HalfOpenSection> for HalfOpen {
    type Error = InvalidPolicy;

    fn try_from(section: HalfOpenSection) -> Result<Self, InvalidPolicy> {
        Self::new(section.concurrent, section.successes, section.deadline)
    }
}

impl TryFrom<RampUpSection> for RampUp {
    type Error = InvalidPolicy;

    fn try_from(section: RampUpSection) -> Result<Self, InvalidPolicy> {
        Self::new(section.time, section.from)
    }
}

impl Default for OpenTimeSection {
    fn default() -> Self {
        let OpenTime { first, longest, jitter, retry_after_up_to } = OpenTime::default();
        Self { first, longest, jitter: jitter.map_or(0.0, Rate::share), retry_after_up_to }
    }
}

impl Default for HalfOpenSection {
    fn default() -> Self {
        let HalfOpen { concurrent, successes, deadline } = HalfOpen::default();
        Self { concurrent, successes, deadline }
    }
}

fn tenth() -> Rate {
    Rate::percent(10)
}

fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text).map_err(|_| {
        de::Error::custom("a duration like \"250ms\", \"30s\" or \"5m\" is needed here")
    })
}

fn some_duration<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}
