use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use portcullis_refusal::{Dialect, Refusal};
use tower::Service;

use crate::body::Body;
use crate::upstream;

/// Serves nothing: the answer to every request is 404.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Nothing;

impl Nothing {
    pub(super) fn refusal() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "no_route", "nothing is served here")
    }
}

impl Service<Request<Body>> for Nothing {
    type Response = Response<Body>;
    type Error = upstream::Error;
    type Future = Ready<Result<Response<Body>, upstream::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), upstream::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let dialect = Dialect::of(request.headers());
        ready(Ok(Self::refusal().into_response(dialect, Body::empty())))
    }
}
