use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::header::HeaderName;

/// How the names of some headers begin, in any letter case.
///
/// ```
/// # use portcullis_host_strip::{HeaderPrefix, HopByHop};
/// let internal: HeaderPrefix = "x-internal-".parse().unwrap();
/// let policy = HopByHop::default().remove_prefix(internal);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct HeaderPrefix(HeaderName);

impl HeaderPrefix {
    pub(super) fn begins(&self, name: &HeaderName) -> bool {
        name.as_str().starts_with(self.0.as_str())
    }
}

impl FromStr for HeaderPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        // What may begin a name is itself one, in the lower case that all names here have.
        text.parse().map(Self).map_err(|_| InvalidPrefix)
    }
}

impl TryFrom<String> for HeaderPrefix {
    type Error = InvalidPrefix;

    fn try_from(text: String) -> Result<Self, InvalidPrefix> {
        text.parse()
    }
}

/// The text cannot begin the name of a header, or is empty and would begin all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidPrefix;

impl fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the beginning of a header's name, as in `x-internal-`")
    }
}

impl Error for InvalidPrefix {}
