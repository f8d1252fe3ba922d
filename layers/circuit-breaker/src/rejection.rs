use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// Why a request was refused: found in the extensions of the response.
///
/// The service was not asked: another may be, at no risk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Open {
    retry_after: Option<Duration>,
}

impl Open {
    pub(crate) fn new(wait: Option<u64>) -> Self {
        Self { retry_after: wait.map(Duration::from_millis) }
    }

    /// How long it stays so: none if somebody said it should, zero if that depends on a probe under way.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn refusal(self) -> Refusal {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Refusal::new(status, "circuit_open", "not well").extension(self);
        match self.retry_after {
            Some(wait) => refusal.retry_after(wait),
            None => refusal,
        }
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the circuit is open")
    }
}

impl Error for Open {}
