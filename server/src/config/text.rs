//! What is written as text, and is more than text.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};

pub(super) fn duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(Duration::ZERO) | Err(_) => Err(serde::de::Error::custom(
            "a duration above zero like \"250ms\", \"30s\" or \"5m\" is needed here",
        )),
        Ok(duration) => Ok(duration),
    }
}

pub(super) fn grace<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(grace) if grace <= MOST_GRACE => Ok(grace),
        _ => Err(serde::de::Error::custom(
            "a duration from \"0s\" to \"1day\" is needed here, like \"5m\"",
        )),
    }
}

/// What was taken out of a file a day ago is not expected to work.
const MOST_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn some_duration<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}

pub(super) fn share<'de, D: serde::Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(input)?;
    let is_share = (0.0..=1.0).contains(&share);
    is_share
        .then_some(share)
        .ok_or_else(|| serde::de::Error::custom("a number from 0 to 1 is needed here, like 0.05"))
}

pub(super) fn some_address<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Option<SocketAddr>, D::Error> {
    address(input).map(Some)
}

pub(super) fn methods<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Vec<http::Method>, D::Error> {
    let names = Vec::<String>::deserialize(input)?;
    let method = |name: String| match name.parse() {
        Ok(method) if name == name.to_ascii_uppercase() => Ok(method),
        _ => Err(serde::de::Error::custom(format!("`{name}` is no method like \"GET\""))),
    };
    names.into_iter().map(method).collect()
}

pub(super) fn address<'de, D: serde::Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    String::deserialize(input)?.parse().map_err(|_| {
        serde::de::Error::custom(
            "an address with its port, like \"127.0.0.1:8080\" or \"[::1]:8080\"",
        )
    })
}

pub(super) fn redirect_status<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<StatusCode, D::Error> {
    let status = u16::deserialize(input)?;
    let known = matches!(status, 301 | 302 | 303 | 307 | 308);
    StatusCode::from_u16(status).ok().filter(|_| known).ok_or_else(|| {
        serde::de::Error::custom("the status of a redirect is 301, 302, 303, 307 or 308")
    })
}

pub(super) fn final_status<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<StatusCode, D::Error> {
    let status = u16::deserialize(input)?;
    StatusCode::from_u16(status)
        .ok()
        .filter(|_| (200..600).contains(&status))
        .ok_or_else(|| serde::de::Error::custom("a status from 200 to 599 is needed here"))
}

pub(super) fn statuses<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Vec<StatusCode>, D::Error> {
    let status = |number: u16| {
        let status = StatusCode::from_u16(number).ok().filter(|_| number < 600);
        status.ok_or_else(|| serde::de::Error::custom(format!("`{number}` is no status like 401")))
    };
    Vec::<u16>::deserialize(input)?.into_iter().map(status).collect()
}

/// One text that is a `T`, or a list of them.
pub(super) fn one_or_many<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, or a list of texts")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            Ok(vec![T::deserialize(text.into_deserializer())?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    input.deserialize_any(OneOrMany(PhantomData))
}
