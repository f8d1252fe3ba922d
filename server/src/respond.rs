//! Refusals and failures in words.

mod failure;
mod refuse;
mod words;

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_rate_limit::Throttled;
use portcullis_refusal::Refused;
use portcullis_request_id::RequestId;
use portcullis_sigv4_sign::Unverified;
use tower::{Layer, Service};

use crate::body::{Body, Error};
use crate::facts::{Facts, Voice};
use crate::route::Routes;
use crate::upstream;

use self::failure::Failure;

pub use self::refuse::{Refuse, RefuseLayer, Refusing};

/// Below it nothing has words for clients; above it nothing fails.
#[derive(Clone, Debug)]
pub struct RespondLayer {
    routes: Routes,
}

impl RespondLayer {
    /// A layer that speaks as these routes do, also to requests that do not come as far.
    #[must_use]
    pub const fn new(routes: Routes) -> Self {
        Self { routes }
    }
}

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Respond { inner, routes: self.routes.clone(), broken: None }
    }
}

/// See [`RespondLayer`].
#[derive(Debug)]
pub struct Respond<S> {
    inner: S,
    routes: Routes,
    /// The error that made the inner service unusable, owed to the next caller.
    broken: Option<upstream::Error>,
}

// A clone was not polled, so it owes nothing.
impl<S: Clone> Clone for Respond<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), routes: self.routes.clone(), broken: None }
    }
}

impl<S, B> Service<Request<Body>> for Respond<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = upstream::Error>,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.broken = ready!(self.inner.poll_ready(cx)).err();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let teller = Teller { facts: Facts::of(&mut request), routes: self.routes.clone() };
        let called = match self.broken.take() {
            Some(error) => Err(Failure::Upstream(error)),
            None => caught(|| self.inner.call(request)),
        };
        let (inner, broken) = match called {
            Ok(inner) => (Some(inner), None),
            Err(failure) => (None, Some(failure)),
        };
        ResponseFuture { inner, broken, teller }
    }
}

/// Runs `act`, and makes a failure of a panic: one request dies, and the process lives.
///
/// What the panic leaves behind is dropped, never used again: the service of one request, or its
/// future.
fn caught<T>(act: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| Failure::Panic(panic.into()))
}

/// Words a refusal.
#[derive(Debug)]
struct Teller {
    facts: Facts,
    routes: Routes,
}

impl Teller {
    fn fail<B>(&self, failure: &Failure) -> Response<Answer<B>> {
        self.word(failure.response(&self.facts, Answer::empty()))
    }

    /// Gives a refusal its body, and leaves everything else as it is.
    fn word<B>(&self, mut response: Response<Answer<B>>) -> Response<Answer<B>> {
        let Some(refused) = response.extensions().get::<Refused>().cloned() else {
            return response;
        };
        let exceeded = response.extensions().get().map(Throttled::limit);
        let asked = self.facts.asked();
        let (voice, id) = {
            let mut known = self.facts.known();
            known.reason = Some(refused.reason());
            if let Some(limit) = exceeded {
                known.error.get_or_insert_with(|| format!("by the limit `{limit}`"));
            }
            if known.route.is_none() && known.voice == Voice::Plain {
                known.voice = self.routes.voice(&asked.method, &asked.uri, asked.host.as_ref());
            }
            (known.voice, known.id.clone())
        };
        let shown = id.as_ref().map(RequestId::as_str).unwrap_or_default();
        let (content_type, words) = match voice {
            Voice::Grpc => return response,
            Voice::Plain => words::problem(&refused, shown),
            Voice::S3 => {
                if response.status() == StatusCode::TOO_MANY_REQUESTS {
                    // S3 knows no other status for it, and its clients slow down by this one.
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                let code = response.extensions().get().copied().map(Unverified::code);
                words::s3_error(&refused, code, asked.uri.path(), shown)
            }
        };
        if let (Voice::S3, Some(id)) = (voice, &id) {
            response.headers_mut().insert(X_AMZ_REQUEST_ID, id.as_value().clone());
        }
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response.headers_mut().insert(CONTENT_LENGTH, words.len().into());
        response.map(|_| Answer { body: Either::Words { words: Full::from(words) } })
    }
}

/// What a client that went away before it was answered is logged as, by nginx's convention.
pub(crate) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Where S3's clients look for the id of a request.
const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

pin_project! {
    /// The response future of [`Respond`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>, // none when the inner service was broken
        broken: Option<Failure>,
        teller: Teller,
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, upstream::Error>>,
{
    type Output = Result<Response<Answer<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = match (this.inner.as_mut().as_pin_mut(), this.broken.take()) {
            (Some(inner), _) => match caught(|| inner.poll(cx)) {
                Ok(polled) => ready!(polled).map_err(Failure::Upstream),
                Err(panic) => Err(panic),
            },
            (None, Some(failure)) => Err(failure),
            (None, None) => return Poll::Pending, // polled after it was done
        };
        this.inner.set(None);
        Poll::Ready(Ok(match result {
            Ok(response) => this.teller.word(response.map(Answer::passed)),
            Err(failure) => this.teller.fail(&failure),
        }))
    }
}

pin_project! {
    /// The body of a response: passed on, or the words of a refusal.
    #[derive(Debug)]
    pub struct Answer<B> {
        #[pin]
        body: Either<B>,
    }
}

pin_project! {
    #[project = EitherProj]
    #[derive(Debug)]
    enum Either<B> {
        Passed { #[pin] body: B },
        Words { #[pin] words: Full<Bytes> },
    }
}

impl<B> Answer<B> {
    const fn passed(body: B) -> Self {
        Self { body: Either::Passed { body } }
    }

    fn empty() -> Self {
        Self { body: Either::Words { words: Full::default() } }
    }
}

impl<B: HttpBody<Data = Bytes, Error = Error>> HttpBody for Answer<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.project().body.project() {
            EitherProj::Passed { body } => body.poll_frame(cx),
            EitherProj::Words { words } => words.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Either::Passed { body } => body.is_end_stream(),
            Either::Words { words } => words.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Either::Passed { body } => body.size_hint(),
            Either::Words { words } => words.size_hint(),
        }
    }
}
