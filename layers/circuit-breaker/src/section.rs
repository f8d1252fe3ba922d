//! What the sections of a configuration file say, before it is made sense of.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::{HalfOpen, InvalidPolicy, OpenTime, RampUp, Rate, SlowCalls, Until, Window};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WindowSection {
    #[serde(deserialize_with = "some_duration")]
    time: Option<Duration>,
    calls: Option<u32>,
    minimum_calls: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowCallsSection {
    #[serde(deserialize_with = "duration")]
    threshold: Duration,
    rate: Rate,
    #[serde(default)]
    until: Until,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OpenTimeSection {
    #[serde(deserialize_with = "duration")]
    first: Duration,
    #[serde(deserialize_with = "duration")]
    longest: Duration,
    jitter: f64,
    #[serde(deserialize_with = "some_duration")]
    retry_after_up_to: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HalfOpenSection {
    concurrent: NonZeroU16,
    successes: NonZeroU16,
    #[serde(deserialize_with = "duration")]
    deadline: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RampUpSection {
    #[serde(deserialize_with = "duration")]
    time: Duration,
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
