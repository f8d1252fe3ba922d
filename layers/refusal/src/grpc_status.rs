use http::StatusCode;
use http::header::HeaderValue;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has these seventeen and reserves the rest"
)]
#[repr(u16)]
pub enum GrpcStatus {
    /// Not an error.
    Ok = 0,
    /// The caller went away.
    Cancelled = 1,
    /// What maps to nothing else.
    Unknown = 2,
    /// The request makes no sense.
    InvalidArgument = 3,
    /// Too late.
    DeadlineExceeded = 4,
    /// No such thing.
    NotFound = 5,
    /// There already.
    AlreadyExists = 6,
    /// Known, and not allowed.
    PermissionDenied = 7,
    /// Too much, or too big.
    ResourceExhausted = 8,
    /// Not in this state.
    FailedPrecondition = 9,
    /// Overtaken by another.
    Aborted = 10,
    /// Past the end.
    OutOfRange = 11,
    /// No such method.
    Unimplemented = 12,
    /// Broken.
    Internal = 13,
    /// Try again.
    Unavailable = 14,
    /// Lost for good.
    DataLoss = 15,
    /// Not known.
    Unauthenticated = 16,
}

impl GrpcStatus {
    /// The status that gRPC's mapping of HTTP statuses has for a response that carries none of its own.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

impl From<GrpcStatus> for HeaderValue {
    fn from(status: GrpcStatus) -> Self {
        (status as u16).into()
    }
}
