//! Header names as a configuration file has them.

use http::header::HeaderName;
use serde::{Deserialize, Deserializer, de};

pub(crate) fn names<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<HeaderName>, D::Error> {
    let names: Vec<String> = Vec::deserialize(input)?;
    let name = |name: &String| {
        name.parse().map_err(|_| de::Error::custom(format_args!("{name:?} is no header name")))
    };
    names.iter().map(name).collect()
}
