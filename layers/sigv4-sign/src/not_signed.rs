use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, GrpcStatus, Refusal};

/// Why a request was not signed, and so not sent: found in the response's extensions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotSigned {
    /// `400`: the target has a malformed percent escape, is no path, or is too long once it is encoded.
    BadTarget,
    /// `400`: a header to be signed has bytes other than visible ASCII, or there is more than one `Host`.
    BadHeader,
    /// `403`: the client asks by an `x-amz-*` header for what only the owner of the credentials may ask.
    ForbiddenHeader,
    /// `501`: the body is in the `aws-chunked` coding, which would be stored as it is.
    AwsChunked,
    /// `413`: the body is larger than what is hashed, and may not go unsigned.
    TooLarge,
    /// `411`: the body is to be sent in chunks, and does not say how long it is.
    LengthRequired,
    /// `400`: the body failed while it was read.
    BodyBroken,
    /// `500`: the body would go unsigned over plain `http`.
    UnsignedOverHttp,
    /// `500`: neither `Host` nor the URI names the service.
    NoHost,
    /// `500`: the clock shows a time before 1970 or after 9999.
    NoTime,
    /// `503`: there are no credentials, or they have expired.
    NoCredentials {
        /// When there may be some, as `Retry-After` says.
        retry_after: Duration,
    },
}

impl NotSigned {
    pub(crate) fn into_response<B>(self, dialect: Dialect, body: B) -> Response<B> {
        let (status, reason) = self.status_and_reason();
        let refusal = Refusal::new(status, reason, self.detail()).extension(self);
        let refusal = match self {
            Self::TooLarge => refusal.grpc_status(GrpcStatus::ResourceExhausted),
            Self::AwsChunked => refusal.grpc_status(GrpcStatus::Unimplemented),
            Self::NoCredentials { retry_after } => refusal.retry_after(retry_after),
            _ => refusal,
        };
        refusal.into_response(dialect, body)
    }

    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.status_and_reason().1
    }

    const fn status_and_reason(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadTarget => (StatusCode::BAD_REQUEST, "bad_target"),
            Self::BadHeader => (StatusCode::BAD_REQUEST, "bad_header"),
            Self::ForbiddenHeader => (StatusCode::FORBIDDEN, "forbidden_header"),
            Self::AwsChunked => (StatusCode::NOT_IMPLEMENTED, "aws_chunked"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large_to_sign"),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "length_required"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
            Self::UnsignedOverHttp => (StatusCode::INTERNAL_SERVER_ERROR, "unsigned_over_http"),
            Self::NoHost => (StatusCode::INTERNAL_SERVER_ERROR, "no_host"),
            Self::NoTime => (StatusCode::INTERNAL_SERVER_ERROR, "no_time"),
            Self::NoCredentials { .. } => (StatusCode::SERVICE_UNAVAILABLE, "no_credentials"),
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::BadTarget => "the request target cannot be signed",
            Self::BadHeader => "a header cannot be signed",
            Self::ForbiddenHeader => "a header asks for more than clients may",
            Self::AwsChunked => "bodies in the aws-chunked coding are not supported",
            Self::TooLarge => "the body is too large to be signed",
            Self::LengthRequired => "the length of the body is required",
            Self::BodyBroken => "the body broke off",
            Self::UnsignedOverHttp => "the body may not be sent unsigned",
            Self::NoHost => "the request names no host",
            Self::NoTime => "the time is not known",
            Self::NoCredentials { .. } => "there are no credentials to sign with",
        }
    }
}

impl fmt::Display for NotSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl Error for NotSigned {}

#[cfg(test)]
mod tests {
    use portcullis_refusal::Refused;

    use super::*;

    #[test]
    fn each_reason_has_a_status_in_both_dialects() {
        let known = [
            (NotSigned::BadTarget, 400, 13, "bad_target"),
            (NotSigned::BadHeader, 400, 13, "bad_header"),
            (NotSigned::ForbiddenHeader, 403, 7, "forbidden_header"),
            (NotSigned::AwsChunked, 501, 12, "aws_chunked"),
            (NotSigned::TooLarge, 413, 8, "too_large_to_sign"),
            (NotSigned::LengthRequired, 411, 2, "length_required"),
            (NotSigned::BodyBroken, 400, 13, "body_broken"),
            (NotSigned::UnsignedOverHttp, 500, 2, "unsigned_over_http"),
            (NotSigned::NoHost, 500, 2, "no_host"),
            (NotSigned::NoTime, 500, 2, "no_time"),
            (NotSigned::NoCredentials { retry_after: Duration::ZERO }, 503, 14, "no_credentials"),
        ];
        for (reason, status, grpc_status, name) in known {
            let response = reason.into_response(Dialect::Http, ());
            assert_eq!(response.status(), status);
            assert_eq!((response.extensions().get(), reason.reason()), (Some(&reason), name));
            let refused: &Refused = response.extensions().get().unwrap();
            assert_eq!((refused.reason(), refused.detail()), (name, &*reason.to_string()));

            let response = reason.into_response(Dialect::Grpc, ());
            assert_eq!(response.headers()["grpc-status"], grpc_status.to_string());
        }
    }
}
