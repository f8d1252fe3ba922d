use std::error::Error;
use std::fmt;

use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, EmptyBody, GrpcStatus, Refusal};

/// Why a request was refused: found in the extensions of the `413`, `414` or `431` response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLarge {
    part: Part,
    limit: u64,
}

/// A part of a request that has a ceiling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// The URI, in bytes.
    Uri,
    /// The names and values of all headers, in bytes.
    HeaderBlock,
    /// The header lines.
    HeaderCount,
    /// The body without its trailers, in bytes.
    Body,
}

impl TooLarge {
    pub(crate) const fn new(part: Part, limit: u64) -> Self {
        Self { part, limit }
    }

    /// The part that is too large.
    #[must_use]
    pub const fn part(&self) -> Part {
        self.part
    }

    /// The ceiling that it exceeds, in bytes, or in lines for [`Part::HeaderCount`].
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    fn refusal(self) -> Refusal {
        let (status, reason) = match self.part {
            Part::Uri => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Part::HeaderBlock => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_block_too_large")
            }
            Part::HeaderCount => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers"),
            Part::Body => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        };
        Refusal::new(status, reason, self.to_string())
            .grpc_status(GrpcStatus::ResourceExhausted)
            .extension(self)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        match self.part {
            Part::Uri => write!(f, "the URI is longer than {limit} bytes"),
            Part::HeaderBlock => write!(f, "the headers are larger than {limit} bytes"),
            Part::HeaderCount => write!(f, "there are more than {limit} headers"),
            Part::Body => write!(f, "the request body is larger than {limit} bytes"),
        }
    }
}

impl Error for TooLarge {}

/// A refusal that is made only when it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<R> {
    too_large: TooLarge,
    dialect: Dialect,
    empty: R,
}

impl<R> Reply<R> {
    pub(crate) const fn new(too_large: TooLarge, dialect: Dialect, empty: R) -> Self {
        Self { too_large, dialect, empty }
    }

    pub(crate) fn response<B>(&self) -> Response<B>
    where
        R: EmptyBody<B>,
    {
        self.too_large.refusal().into_response(self.dialect, self.empty.empty())
    }
}
