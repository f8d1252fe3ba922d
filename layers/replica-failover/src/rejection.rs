use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use portcullis_refusal::{GrpcStatus, Refusal};

use crate::Attempts;

/// Why no replica's answer was passed on: found in the extensions of the response, beside [`Attempts`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unserved {
    /// Several attempts failed: 502.
    AllFailed,
    /// No replica could be asked: none there, enabled and healthy, none that admits it, or none that became ready: 503, with
    /// a `Retry-After` until the first of them may admit it, of at least a second.
    NoneAvailable,
    /// The time for all attempts was over: 504.
    OutOfTime,
}

impl Unserved {
    /// The reason in metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AllFailed => "all_replicas_failed",
            Self::NoneAvailable => "no_replica_available",
            Self::OutOfTime => "replicas_too_slow",
        }
    }

    pub(crate) fn refusal(self, attempts: Attempts, wait: Duration) -> Refusal {
        let refusal = |status| Refusal::new(status, self.reason(), self.words());
        let refusal = match self {
            Self::AllFailed => refusal(StatusCode::BAD_GATEWAY),
            Self::NoneAvailable => refusal(StatusCode::SERVICE_UNAVAILABLE).retry_after(wait),
            Self::OutOfTime => {
                refusal(StatusCode::GATEWAY_TIMEOUT).grpc_status(GrpcStatus::DeadlineExceeded)
            }
        };
        refusal.extension(self).extension(attempts)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::AllFailed => "all replicas that were asked failed",
            Self::NoneAvailable => "no replica is available",
            Self::OutOfTime => "no replica answered in time",
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Error for Unserved {}
