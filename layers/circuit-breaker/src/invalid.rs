use std::error::Error;
use std::fmt;

/// Says why a [`CircuitBreakerPolicy`](crate::CircuitBreakerPolicy) makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// A [`Rate`](crate::Rate) is not above 0, above 1, or no number.
    Rate,
    /// A [`Window`](crate::Window) has more calls than fit, or none.
    Calls,
    /// A window is to be of a time and of a number of calls, too.
    TimeAndCalls,
    /// More calls are needed for a judgement than the window ever holds, or none.
    MinimumCalls,
    /// A time is too short: what it is.
    TooShort(&'static str),
    /// The circuit would be open longer at first than at the most.
    FirstExceedsLongest,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("a rate has to be above 0 and at most 1"),
            Self::Calls => f.write_str("a window has to hold between one and a million calls"),
            Self::TimeAndCalls => f.write_str("a window is of a time or of calls, not of both"),
            Self::MinimumCalls => {
                f.write_str("the minimum of calls has to be at least one and fit into the window")
            }
            Self::TooShort(what) => write!(f, "{what} is too short"),
            Self::FirstExceedsLongest => f.write_str("the first time open exceeds the longest"),
        }
    }
}

impl Error for InvalidPolicy {}
