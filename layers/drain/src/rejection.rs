use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// Why a request was refused: found in the extensions of the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Draining;

impl Draining {
    pub(crate) fn refusal(self) -> Refusal {
        // This instance will not be back, and another can be tried at once: the least that can be said, one second.
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "shutting down")
            .retry_after(Duration::ZERO)
            .extension(self)
    }
}

impl fmt::Display for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shutting down")
    }
}

impl Error for Draining {}
