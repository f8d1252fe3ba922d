//! Durations as text.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

pub(crate) fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom("a duration like \"30s\" or \"5m\" is needed here"))
}

pub(crate) fn read_some<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    read(input).map(Some)
}

/// One without which nobody would ever wait.
pub(crate) fn read_some_time<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    match read(input)? {
        Duration::ZERO => Err(D::Error::custom("a duration above zero is needed")),
        duration => Ok(duration),
    }
}
