use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, GrpcStatus, Refusal};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{Layer, Service};

use crate::body::{Body, Error, Side};

/// Ends a request, both bodies included, when its time is over.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer(Duration);

impl DeadlineLayer {
    /// Allows this long from the first header to the last byte of the response.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self(limit)
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline { inner, limit: self.0 }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = Instant::now() + self.limit;
        let dialect = Dialect::of(request.headers());
        let request = request.map(|body| Body::new(DeadlineBody::new(body, deadline)));
        let sleep = Box::pin(sleep_until(deadline));
        ResponseFuture { inner: self.inner.call(request), sleep, dialect }
    }
}

pin_project! {
    /// The response future of [`Deadline`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        sleep: Pin<Box<Sleep>>,
        dialect: Dialect,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.inner.poll(cx);
        // First, since the request body that the deadline broke off makes the inner future fail, too.
        if this.sleep.as_mut().poll(cx).is_ready() {
            let refusal = Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                Side::Deadline.reason(),
                "the request took too long",
            );
            let refusal = refusal.grpc_status(GrpcStatus::DeadlineExceeded);
            return Poll::Ready(Ok(refusal.into_response(*this.dialect, Body::empty())));
        }
        let deadline = this.sleep.deadline();
        polled.map_ok(|response| response.map(|body| Body::new(DeadlineBody::new(body, deadline))))
    }
}

/// A body that breaks off at an instant.
#[derive(Debug)]
struct DeadlineBody {
    inner: Body,
    sleep: Pin<Box<Sleep>>,
}

impl DeadlineBody {
    fn new(inner: Body, deadline: Instant) -> Self {
        Self { inner, sleep: Box::pin(sleep_until(deadline)) }
    }
}

impl HttpBody for DeadlineBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::bare(Side::Deadline))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
