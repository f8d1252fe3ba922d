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
pub struct TellLayer;

impl<S> Layer<S> for TellLayer {
    type Service = Tell<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Tell { inner }
    }
}

/// See [`TellLayer`].
#[derive(Clone, Debug)]
pub struct Tell<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Tell<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = upstream::Error>,
{
    type Response = Response<Body>;
    type Error = upstream::Error;
    type Future = Telling<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), upstream::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let facts = Facts::of(&mut request);
        Telling { inner: self.inner.call(request), facts }
    }
}

pin_project! {
    /// The response future of [`Tell`].
    #[derive(Debug)]
    pub struct Telling<F> {
        #[pin]
        inner: F,
        facts: Facts,
    }
}

impl<F> Future for Telling<F>
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
