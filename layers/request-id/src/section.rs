//! What a configuration file says, before it is made sense of.

use http::header::HeaderName;
use serde::{Deserialize, Deserializer, de};

use crate::{InvalidNetwork, Networks, Trust};

#[derive(Deserialize)]
#[serde(untagged, expecting = "\"none\", \"all\" or a list of networks is needed here")]
pub(crate) enum TrustSection {
    Word(Word),
    Networks(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    None,
    All,
}

impl TryFrom<TrustSection> for Trust {
    type Error = InvalidNetwork;

    fn try_from(section: TrustSection) -> Result<Self, InvalidNetwork> {
        Ok(match section {
            TrustSection::Word(Word::None) => Self::None,
            TrustSection::Word(Word::All) => Self::All,
            TrustSection::Networks(networks) => Self::Networks(Networks::try_from(networks)?),
        })
    }
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
