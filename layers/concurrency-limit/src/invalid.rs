use std::error::Error;
use std::fmt;

/// Says why a [`ConcurrencyPolicy`](crate::ConcurrencyPolicy) makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// A time is zero: what it is.
    TooShort(&'static str),
    /// The least limit exceeds the largest, or the first is beyond one of them.
    Bounds,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(what) => write!(f, "{what} is too short"),
            Self::Bounds => f.write_str("a limit adapts between its least and its largest"),
        }
    }
}

impl Error for InvalidPolicy {}
