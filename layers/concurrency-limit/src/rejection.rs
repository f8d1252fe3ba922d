use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// Why a request was refused: found in the extensions of the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overloaded {
    why: Why,
    retry_after: Duration,
}

/// What a request did not get.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// A place, nor one in the queue.
    Full,
    /// Its turn in time.
    Late,
}

impl Overloaded {
    pub(crate) const fn new(why: Why, retry_after: Duration) -> Self {
        Self { why, retry_after }
    }

    /// What it did not get.
    #[must_use]
    pub const fn why(&self) -> Why {
        self.why
    }

    pub(crate) fn refusal(self) -> Refusal {
        let (reason, words) = match self.why {
            Why::Full => ("overloaded", "too many requests are under way"),
            Why::Late => ("overloaded_late", "too many requests are under way for too long"),
        };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, words)
            .retry_after(self.retry_after)
            .extension(self)
    }
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Full => "too many requests are under way",
            Why::Late => "too many requests are under way for too long",
        })
    }
}

impl Error for Overloaded {}
