//! What a configuration file says, before it is made sense of.

use std::net::IpAddr;

use http::header::HeaderName;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use crate::Trust;

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "\"none\", \"all\" or a list of networks is needed here")]
pub(crate) enum TrustSection {
    Word(Word),
    Networks(Vec<String>),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    None,
    All,
}

impl TryFrom<TrustSection> for Trust {
    type Error = String;

    fn try_from(section: TrustSection) -> Result<Self, String> {
        Ok(match section {
            TrustSection::Word(Word::None) => Self::None,
            TrustSection::Word(Word::All) => Self::All,
            TrustSection::Networks(texts) => {
                Self::Networks(texts.iter().map(|text| network(text)).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// A network in CIDR notation, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = |text: &str| text.parse().map(|address: IpAddr| address.to_canonical().into());
    let network = text.parse::<IpNet>().or_else(|_| address(text)).ok();
    // One bit beyond the prefix, and the network is not the one that was meant.
    let meant = network.filter(|network| network.trunc() == *network);
    meant.ok_or_else(|| {
        format!("{text:?} is no network like \"10.0.0.0/8\" or \"fd00::/8\", and no address")
    })
}

pub(crate) fn name<'de, D: Deserializer<'de>>(input: D) -> Result<HeaderName, D::Error> {
    parse(&String::deserialize(input)?)
}

pub(crate) fn some_name<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<HeaderName>, D::Error> {
    name(input).map(Some)
}

pub(crate) fn names<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<HeaderName>>, D::Error> {
    let names: Vec<String> = Vec::deserialize(input)?;
    names.iter().map(|name| parse(name)).collect::<Result<_, _>>().map(Some)
}

fn parse<E: de::Error>(name: &str) -> Result<HeaderName, E> {
    name.parse().map_err(|_| E::custom(format_args!("{name:?} is no header name")))
}
