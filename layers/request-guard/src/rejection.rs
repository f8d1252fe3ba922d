use std::error::Error;
use std::fmt;

use http::header::{ACCEPT, ALLOW, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, EmptyBody, GrpcStatus, Refusal};

use crate::Flaw;

/// Why a request was refused: found in the extensions of the `413`, `414` or `431` response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLarge {
    part: Part,
    limit: u64,
}

/// A part of a request that has a ceiling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request has no other parts that grow")]
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

/// Why a request was refused whatever its size: found in the extensions of the `400`, `405`, `415` or `421` response.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is for a host that is not served here.
    Host,
    /// Its path could mean more than one thing, or leads out of where it begins.
    Path(Flaw),
    /// Its method is not allowed.
    Method,
    /// It has no header of this name.
    MissingHeader(HeaderName),
    /// Its body is of no allowed type.
    ContentType,
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

impl Unfit {
    fn refusal(&self) -> Refusal {
        let (status, reason) = match self {
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "misdirected"),
            Self::Path(_) => (StatusCode::BAD_REQUEST, "bad_path"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::MissingHeader(_) => (StatusCode::BAD_REQUEST, "missing_header"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
        };
        Refusal::new(status, reason, self.to_string()).extension(self.clone())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("this host is not served here"),
            Self::Path(flaw) => write!(f, "{flaw}"),
            Self::Method => f.write_str("this method is not allowed here"),
            Self::MissingHeader(name) => write!(f, "the header `{name}` is missing"),
            Self::ContentType => f.write_str("a body of this type is not taken here"),
        }
    }
}

impl Error for Unfit {}

/// Why a request is refused, and what the refusal says besides.
#[derive(Clone, Debug)]
pub(crate) enum Rejection {
    TooLarge(TooLarge),
    // Few requests are, and the future of each has room for one.
    Unfit(Box<(Unfit, Option<(HeaderName, HeaderValue)>)>),
}

impl Rejection {
    pub(crate) fn of_method(allowed: Option<HeaderValue>) -> Self {
        Self::Unfit(Box::new((Unfit::Method, allowed.map(|allowed| (ALLOW, allowed)))))
    }

    pub(crate) fn of_content_type(accepted: Option<HeaderValue>) -> Self {
        Self::Unfit(Box::new((Unfit::ContentType, accepted.map(|accepted| (ACCEPT, accepted)))))
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::TooLarge(too_large) => too_large.refusal(),
            Self::Unfit(unfit) => match &**unfit {
                (unfit, None) => unfit.refusal(),
                (unfit, Some((name, value))) => unfit.refusal().header(name.clone(), value.clone()),
            },
        }
    }
}

impl From<TooLarge> for Rejection {
    fn from(too_large: TooLarge) -> Self {
        Self::TooLarge(too_large)
    }
}

impl From<Unfit> for Rejection {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(Box::new((unfit, None)))
    }
}

/// A refusal that is made only when it is needed.
#[derive(Clone, Debug)]
pub(crate) struct Reply<R> {
    rejection: Rejection,
    dialect: Dialect,
    empty: R,
}

impl<R> Reply<R> {
    pub(crate) const fn new(rejection: Rejection, dialect: Dialect, empty: R) -> Self {
        Self { rejection, dialect, empty }
    }

    pub(crate) fn response<B>(&self) -> Response<B>
    where
        R: EmptyBody<B>,
    {
        self.rejection.refusal().into_response(self.dialect, self.empty.empty())
    }
}
