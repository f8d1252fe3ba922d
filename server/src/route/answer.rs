use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::{Request, Response, StatusCode};
use portcullis_refusal::{Dialect, Refusal};
use tower::Service;

use crate::body::Body;
use crate::upstream;

use super::{Fixed, Redirect, host};

/// Answers in place of an upstream.
#[derive(Clone, Debug)]
pub struct Answer(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Redirect(Redirect),
    Fixed(Fixed),
}

impl From<Redirect> for Answer {
    fn from(redirect: Redirect) -> Self {
        Self(Arc::new(Kind::Redirect(redirect)))
    }
}

impl From<Fixed> for Answer {
    fn from(fixed: Fixed) -> Self {
        Self(Arc::new(Kind::Fixed(fixed)))
    }
}

impl Answer {
    fn to<B>(&self, request: &Request<B>) -> Response<Body> {
        match &*self.0 {
            Kind::Fixed(fixed) => fixed.answer(request.method()),
            Kind::Redirect(redirect) => {
                let uri = request.uri();
                let host = host(uri, request.headers().get(HOST));
                redirect.answer(host, uri.path(), uri.query()).unwrap_or_else(|| {
                    let detail = "the request names no host to be sent to";
                    let refusal = Refusal::new(StatusCode::BAD_REQUEST, "bad_host", detail);
                    refusal.into_response(Dialect::of(request.headers()), Body::empty())
                })
            }
        }
    }
}

impl<B> Service<Request<B>> for Answer {
    type Response = Response<Body>;
    type Error = upstream::Error;
    type Future = Ready<Result<Response<Body>, upstream::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), upstream::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.to(&request)))
    }
}
