use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::header::HeaderName;

use crate::names;

/// How the names of some headers begin, in any letter case, with `_` for `-` or without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderPrefix(HeaderName);

impl HeaderPrefix {
    pub(crate) fn begins(&self, name: &HeaderName) -> bool {
        names::begins(&self.0, name)
    }

    pub(crate) const fn name(&self) -> &HeaderName {
        &self.0
    }
}

impl FromStr for HeaderPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        // What may begin a name is itself one, in the lower case that all names here have.
        text.parse().map(Self).map_err(|_| InvalidPrefix)
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
