use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The regions that a signature of Version 4A is for: `*`, or names such as `eu-west-1` and `us-*`, separated by commas.
///
/// A name has ASCII letters, digits and `-`, and at its end or alone a `*`; the whole is at most 256 bytes long. Read from
/// a configuration file as text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "String"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct RegionSet(Box<str>);

impl RegionSet {
    /// The set `regions`, without the spaces around its commas.
    ///
    /// # Errors
    ///
    /// When it has an empty name or one with other characters, or is longer than 256 bytes.
    pub fn new(regions: &str) -> Result<Self, InvalidRegionSet> {
        let names: Vec<_> = regions.split(',').map(str::trim).collect();
        let set = names.join(",");
        if names.iter().all(|name| is_name(name)) && set.len() <= MAX_SET {
            Ok(Self(set.into()))
        } else {
            Err(InvalidRegionSet)
        }
    }

    /// The set as it is sent in `x-amz-region-set`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RegionSet {
    type Error = InvalidRegionSet;

    fn try_from(regions: String) -> Result<Self, InvalidRegionSet> {
        Self::new(&regions)
    }
}

impl FromStr for RegionSet {
    type Err = InvalidRegionSet;

    fn from_str(regions: &str) -> Result<Self, InvalidRegionSet> {
        Self::new(regions)
    }
}

/// A text is no set of regions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidRegionSet;

impl fmt::Display for InvalidRegionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of regions is `*` or names like `eu-west-1` and `us-*`, with commas")
    }
}

impl Error for InvalidRegionSet {}

fn is_name(name: &str) -> bool {
    let begin = name.strip_suffix('*').unwrap_or(name);
    !name.is_empty() && begin.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const MAX_SET: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_names_and_beginnings_of_names() {
        for (given, set) in
            [("*", "*"), ("eu-west-1", "eu-west-1"), ("us-east-1, eu-* ", "us-east-1,eu-*")]
        {
            assert_eq!(RegionSet::new(given).unwrap().as_str(), set);
        }
        for given in ["", ",", "eu-west-1,", "e*u", "**", "eu west", "é", &"x".repeat(257)] {
            assert_eq!(RegionSet::new(given), Err(InvalidRegionSet), "{given}");
        }
    }
}
