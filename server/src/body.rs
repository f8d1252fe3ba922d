use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use portcullis_replica_failover::ReplayBodyError;
use portcullis_request_guard::GuardedBodyError;
use portcullis_sigv4_sign::{PlainBodyError, SignedBodyError};
use tower::layer::util::Stack;
use tower::util::{MapRequestLayer, MapResponseLayer};

/// A body of any type, as it crosses the seams of the stack.
///
/// An empty body costs no allocation.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Boxed(Pin<Box<dyn Stream>>),
}

/// What a body is, once its type is forgotten.
trait Stream: HttpBody<Data = Bytes, Error = Error> + Send {}

impl<B: HttpBody<Data = Bytes, Error = Error> + Send> Stream for B {}

impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl Body {
    /// No bytes at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Forgets the type of a body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Boxed(Box::pin(body.map_err(Into::into))))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::new(Full::new(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

/// Whose side broke a body off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Side {
    /// The client left before it had sent all.
    ClientLeft,
    /// The client sent what is no body.
    Client,
    /// The client sent nothing for too long.
    ClientTimeout,
    /// The body is larger than it may be.
    Limit,
    /// The upstream stopped sending, or sent what is no body.
    Upstream,
    /// The upstream sent nothing for too long.
    UpstreamTimeout,
    /// The total time of the request is over.
    Deadline,
}

impl Side {
    /// Whether it was the upstream's.
    #[must_use]
    pub const fn is_upstream(self) -> bool {
        matches!(self, Self::Upstream | Self::UpstreamTimeout)
    }

    /// The name in logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientLeft => "client_closed",
            Self::Client => "client_body",
            Self::ClientTimeout => "client_body_timeout",
            Self::Limit => "body_too_large",
            Self::Upstream => "upstream_body",
            Self::UpstreamTimeout => "upstream_body_timeout",
            Self::Deadline => "request_timeout",
        }
    }
}

/// Why a body broke off.
// A type of its own rather than a `BoxError`: rustc cannot prove a future `Send` when the types in
// it mention `dyn Error` (rust-lang/rust#102870).
#[derive(Debug)]
pub struct Error {
    side: Side,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A body broken off by `source`, on this side.
    pub fn new(side: Side, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { side, source: Some(source.into()) }
    }

    /// A body broken off by the gateway itself.
    #[must_use]
    pub const fn bare(side: Side) -> Self {
        Self { side, source: None }
    }

    /// Whose side it was.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Looks for a broken body among the causes of `error`.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        find(error)
    }
}

/// Looks for an error of type `E` among `error` and its causes.
pub(crate) fn find<'a, E: StdError + 'static>(
    mut error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    loop {
        match error.downcast_ref() {
            Some(found) => return Some(found),
            None => error = error.source()?,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.side {
            Side::ClientLeft => "the client left before it had sent its body",
            Side::Client => "the client sent what is no body",
            Side::ClientTimeout => "the client stopped sending its body",
            Side::Limit => "the body is too large",
            Side::Upstream => "the upstream broke its body off",
            Side::UpstreamTimeout => "the upstream stopped sending its body",
            Side::Deadline => "the request took too long",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<GuardedBodyError<Self>> for Error {
    fn from(error: GuardedBodyError<Self>) -> Self {
        if let GuardedBodyError::Inner(error) = error { error } else { Self::bare(Side::Limit) }
    }
}

impl From<SignedBodyError<Self>> for Error {
    fn from(error: SignedBodyError<Self>) -> Self {
        if let SignedBodyError::Inner(error) = error { error } else { Self::bare(Side::Client) }
    }
}

impl From<PlainBodyError<Self>> for Error {
    fn from(error: PlainBodyError<Self>) -> Self {
        match error {
            PlainBodyError::Inner(error) => error,
            error => Self::new(Side::Client, error),
        }
    }
}

impl From<ReplayBodyError<Self>> for Error {
    fn from(error: ReplayBodyError<Self>) -> Self {
        match error {
            ReplayBodyError::Inner(error) => error,
            // An attempt is given up when its replica has failed; nobody waits for it any more.
            error => Self::new(Side::Upstream, error),
        }
    }
}

/// `layer`, whose own kind of body is what the seams know below it.
pub(crate) fn over_plain<L, B>(layer: L) -> Stack<PlainLayer<B>, L>
where
    B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    Stack::new(MapRequestLayer::new(plain), layer)
}

pub(crate) type PlainLayer<B> = MapRequestLayer<fn(Request<B>) -> Request<Body>>;

/// `layer`, whose own kind of response body is what the seams know above it.
pub(crate) fn boxing<L, B>(layer: L) -> Stack<L, BoxingLayer<B>>
where
    B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    Stack::new(layer, MapResponseLayer::new(boxed))
}

pub(crate) type BoxingLayer<B> = MapResponseLayer<fn(Response<B>) -> Response<Body>>;

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    response.map(Body::new)
}

/// The seams know one type of body.
pub(crate) fn plain<B>(request: Request<B>) -> Request<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    request.map(Body::new)
}
