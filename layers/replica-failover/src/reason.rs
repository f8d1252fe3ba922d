use std::fmt;

use http::StatusCode;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No connection: the address, the socket, the handshake.
    Connect,
    /// The replica refused the stream before it looked at it (RFC 9113 §8.7).
    RefusedStream,
    /// The connection was being closed, and the request is beyond the last one it takes (RFC 9113 §6.8).
    GoAway,
    /// The connection broke before there was a response.
    Reset,
    /// There was no response in time.
    Timeout,
    /// A response with a status that counts as a failure.
    Status(StatusCode),
    /// A gRPC response that says the service is unavailable.
    Unavailable,
    /// The service did not become ready in time.
    NotReady,
    /// A layer in front of the replica refused the request before it was sent.
    Refused,
    /// It may not have the object yet.
    Missing,
    /// Any other error.
    Error,
}

impl Reason {
    #[cfg(feature = "metrics")]
    pub(crate) const NAMES: [&'static str; 11] = [
        Self::Connect.name(),
        Self::RefusedStream.name(),
        Self::GoAway.name(),
        Self::Reset.name(),
        Self::Timeout.name(),
        Self::Status(StatusCode::BAD_GATEWAY).name(),
        Self::Unavailable.name(),
        Self::NotReady.name(),
        Self::Refused.name(),
        Self::Missing.name(),
        Self::Error.name(),
    ];

    /// The name in logs and metrics, one of a small, fixed set.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::RefusedStream => "refused_stream",
            Self::GoAway => "goaway",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::Unavailable => "unavailable",
            Self::NotReady => "not_ready",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Error => "error",
        }
    }

    /// The status of the response, if there was one that counts as a failure.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(status),
            Self::Missing => Some(StatusCode::NOT_FOUND),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Status(status) => write!(f, " {}", status.as_u16()),
            _ => Ok(()),
        }
    }
}
