use std::error::Error;
use std::fmt;

/// Says why limits make no layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidLimits {
    /// There are none, or more than eight.
    Number,
    /// Two of them have the same name.
    SameName,
}

impl fmt::Display for InvalidLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a layer has between one and eight limits",
            Self::SameName => "two limits have the same name",
        })
    }
}

impl Error for InvalidLimits {}
