//! Durations as a configuration file has them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

pub(crate) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text)
        .map_err(|_| de::Error::custom("a duration like \"250ms\" or \"1s\" is needed here"))
}
