//! Header names and networks as a configuration file has them.

use http::header::HeaderName;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use crate::proxy::network;

pub(crate) fn names<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<HeaderName>, D::Error> {
    let names: Vec<String> = Vec::deserialize(input)?;
    let name = |name: &String| {
        name.parse().map_err(|_| de::Error::custom(format_args!("{name:?} is no header name")))
    };
    names.iter().map(name).collect()
}

pub(crate) fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let texts: Vec<String> = Vec::deserialize(input)?;
    texts.iter().map(|text| network(text).map_err(de::Error::custom)).collect()
}

pub(crate) fn some_networks<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<IpNet>>, D::Error> {
    networks(input).map(Some)
}
