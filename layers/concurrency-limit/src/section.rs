//! What a configuration file says, before it is made sense of.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::policy::Limit;
use crate::{Adaptive, InvalidPolicy};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    expecting = "a number of requests, or a table with min, max and latency, is needed here"
)]
pub(crate) enum LimitSection {
    Fixed(NonZeroU32),
    Adaptive(AdaptiveSection),
}

/// A limit that goes up while answers come in time, and down when one does not.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AdaptiveSection {
    /// It is never less.
    min: NonZeroU32,
    /// It is never more.
    max: NonZeroU32,
    /// What it begins with; `min` when left out.
    first: Option<NonZeroU32>,
    /// An answer whose headers take longer is late.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    #[serde(deserialize_with = "duration")]
    latency: Duration,
}

impl TryFrom<LimitSection> for Limit {
    type Error = InvalidPolicy;

    fn try_from(section: LimitSection) -> Result<Self, InvalidPolicy> {
        let AdaptiveSection { min, max, first, latency } = match section {
            LimitSection::Fixed(limit) => return Ok(Self::Fixed(limit)),
            LimitSection::Adaptive(section) => section,
        };
        let adaptive = Adaptive::new(min, max, latency)?;
        Ok(Self::Adaptive(match first {
            Some(first) => adaptive.first(first)?,
            None => adaptive,
        }))
    }
}

pub(crate) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    let time = humantime::parse_duration(&text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| de::Error::custom("a duration like \"250ms\" or \"1s\" is needed here"))
}
