//! Durations, sizes, statuses and header names as a configuration file has them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::Hedge;

pub(crate) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom("a duration like \"250ms\" or \"20s\" is needed here"))
}

pub(crate) fn some_duration<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}

pub(crate) fn header_name<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<HeaderName>, D::Error> {
    let text = String::deserialize(input)?;
    let name = text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no header name")))?;
    Ok(Some(name))
}

/// Only what can be a failure: an answer that succeeds is none.
pub(crate) fn statuses<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<StatusCode>, D::Error> {
    let status = |code: u16| match code {
        400..600 => StatusCode::from_u16(code).map_err(D::Error::custom),
        _ => Err(D::Error::custom(format!("a status from 400 to 599 is needed, not {code}"))),
    };
    Vec::deserialize(input)?.into_iter().map(status).collect()
}

/// What a probe may expect, at least one.
pub(crate) fn expected<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<StatusCode>, D::Error> {
    let status = |code: u16| match code {
        200..600 => StatusCode::from_u16(code).map_err(D::Error::custom),
        _ => Err(D::Error::custom(format!("a status from 200 to 599 is needed, not {code}"))),
    };
    let statuses: Vec<_> =
        Vec::deserialize(input)?.into_iter().map(status).collect::<Result<_, _>>()?;
    if statuses.is_empty() {
        return Err(D::Error::custom("at least one status is needed"));
    }
    Ok(statuses)
}

pub(crate) fn path<'de, D: Deserializer<'de>>(input: D) -> Result<PathAndQuery, D::Error> {
    let text = String::deserialize(input)?;
    let path = text.parse().ok().filter(|_| text.starts_with('/'));
    path.ok_or_else(|| D::Error::custom("a path like \"/healthz\" is needed here"))
}

pub(crate) fn host<'de, D: Deserializer<'de>>(input: D) -> Result<Option<HeaderValue>, D::Error> {
    let text = String::deserialize(input)?;
    let host = text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no host")))?;
    Ok(Some(host))
}

pub(crate) fn percent<'de, D: Deserializer<'de>>(input: D) -> Result<u8, D::Error> {
    match u8::deserialize(input)? {
        percent @ ..=100 => Ok(percent),
        more => Err(D::Error::custom(format!("a percentage is at most 100, not {more}"))),
    }
}

/// What the section of a hedge says, before it is made sense of.
#[derive(Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HedgeSection {
    /// The time after which the other is asked. 10 ms, with a `percentile`.
    #[serde(deserialize_with = "some_duration")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    after: Option<Duration>,
    /// Not before so many percent of recent requests had their headers.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 99)))]
    percentile: Option<u8>,
    /// How many recent requests there must be for that.
    samples: Option<NonZeroU32>,
    /// How many hedges a request has at most.
    max: Option<NonZeroU32>,
}

impl TryFrom<HedgeSection> for Hedge {
    type Error = &'static str;

    fn try_from(section: HedgeSection) -> Result<Self, Self::Error> {
        let HedgeSection { after, percentile, samples, max } = section;
        let hedge = match (after, percentile) {
            (None, None) => return Err("a hedge needs `after`, or `percentile`"),
            (after, Some(percent @ 1..=99)) => {
                Self::after(after.unwrap_or(Duration::from_millis(10))).percentile(percent)
            }
            (_, Some(_)) => return Err("a percentile of a hedge is from 1 to 99"),
            (Some(_), None) if samples.is_some() => {
                return Err("`samples` of a hedge are of a `percentile`");
            }
            (Some(after), None) => Self::after(after),
        };
        let hedge = samples.map_or(hedge, |samples| hedge.samples(samples));
        Ok(max.map_or(hedge, |max| hedge.max(max)))
    }
}

pub(crate) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    input.deserialize_any(Size)
}

struct Size;

impl Visitor<'_> for Size {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or text with B, KiB, MiB or GiB, as in \"64KiB\"")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// `KB` and `MB` are left out: half of their readers take them for powers of ten.
fn parse(text: &str) -> Option<u64> {
    let (number, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
