use std::error::Error;
use std::fmt;

/// Says why a [`ForwardedPolicy`](crate::ForwardedPolicy) makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The name for `Via` is no token.
    Pseudonym,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pseudonym => {
                f.write_str("a name in Via has letters, digits and a few signs, but no space")
            }
        }
    }
}

impl Error for InvalidPolicy {}
