use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::ResponseFuture;
use crate::gate::Gate;

/// Lets only requests with a valid token through; see [`JwtAuthLayer`](crate::JwtAuthLayer).
///
/// A refusal gives back the readiness of the inner service, which therefore has to be [`Clone`].
#[derive(Clone, Debug)]
pub struct JwtAuth<S, R = DefaultBody> {
    inner: S,
    gate: Arc<Gate>,
    empty: R,
}

impl<S, R> JwtAuth<S, R> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate>, empty: R) -> Self {
        Self { inner, gate, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for JwtAuth<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: EmptyBody<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.gate.admit(&mut request) {
            Ok(()) => ResponseFuture::called(self.inner.call(request)),
            Err(unauthorized) => {
                // What was readied is not called: it goes, with the permit it may hold, and an unready clone stays.
                self.inner = self.inner.clone();
                let refusal = unauthorized.refusal(&self.gate.challenge);
                let dialect = Dialect::of(request.headers());
                ResponseFuture::refused(refusal.into_response(dialect, self.empty.empty()))
            }
        }
    }
}
