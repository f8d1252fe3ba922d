use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

/// Why a check of a replica's health failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CheckFailure {
    /// There was no answer within the time limit.
    TimedOut,
    /// The answer has a status that was not expected.
    Status(StatusCode),
    /// The answer has this gRPC status.
    GrpcStatus(u32),
    /// The replica says that it does not serve; any but `SERVING` does.
    NotServing,
    /// The answer is none that gRPC's health protocol knows.
    Malformed,
    /// There was no answer: an error, with its causes.
    Failed(Arc<str>),
}

impl CheckFailure {
    #[cfg(feature = "metrics")]
    pub(crate) const NAMES: [&'static str; 6] =
        ["timeout", "status", "grpc_status", "not_serving", "malformed", "error"];

    /// The name in metrics, one of a small, fixed set.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Status(_) => "status",
            Self::GrpcStatus(_) => "grpc_status",
            Self::NotServing => "not_serving",
            Self::Malformed => "malformed",
            Self::Failed(_) => "error",
        }
    }

    pub(crate) fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            words = format!("{words}: {error}");
            source = error.source();
        }
        Self::Failed(words.into())
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::GrpcStatus(status) => write!(f, "gRPC status {status}"),
            Self::NotServing => f.write_str("not serving"),
            Self::Malformed => f.write_str("no answer of gRPC's health protocol"),
            Self::Failed(words) => f.write_str(words),
        }
    }
}

impl Error for CheckFailure {}
