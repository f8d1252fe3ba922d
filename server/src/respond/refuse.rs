use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::body::Body;
use crate::facts::Facts;
use crate::upstream;

use super::failure::Failure;

/// Makes refusals of failures, for what is above it and changes every response. They get their words further out, as all
/// refusals do.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RefuseLayer;

impl<S> Layer<S> for RefuseLayer {
    type Service = Refuse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Refuse { inner }
    }
}

/// See [`RefuseLayer`].
#[derive(Clone, Debug)]
pub struct Refuse<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Refuse<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = upstream::Error>,
{
    type Response = Response<Body>;
    type Error = upstream::Error;
    type Future = Refusing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), upstream::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let facts = Facts::of(&mut request);
        Refusing { inner: self.inner.call(request), facts }
    }
}

pin_project! {
    /// The response future of [`Refuse`].
    #[derive(Debug)]
    pub struct Refusing<F> {
        #[pin]
        inner: F,
        facts: Facts,
    }
}

impl<F> Future for Refusing<F>
where
    F: Future<Output = Result<Response<Body>, upstream::Error>>,
{
    type Output = Result<Response<Body>, upstream::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        Poll::Ready(Ok(answer
            .unwrap_or_else(|error| Failure::Upstream(error).response(this.facts, Body::empty()))))
    }
}
