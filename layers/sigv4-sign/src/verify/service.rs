use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::gate::Gate;
use crate::{PlainBody, PlainFuture};

/// Lets only requests with a valid signature through; see [`SigV4VerifyLayer`](crate::SigV4VerifyLayer).
///
/// A refusal gives back the readiness of the inner service, which therefore has to be [`Clone`].
#[derive(Clone, Debug)]
pub struct SigV4Verify<S, R = DefaultBody> {
    inner: S,
    gate: Arc<Gate>,
    clock: fn() -> SystemTime,
    empty: R,
}

impl<S, R> SigV4Verify<S, R> {
    pub(super) const fn new(
        inner: S,
        gate: Arc<Gate>,
        clock: fn() -> SystemTime,
        empty: R,
    ) -> Self {
        Self { inner, gate, clock, empty }
    }
}

impl<S, B, R, ResBody> Service<Request<B>> for SigV4Verify<S, R>
where
    S: Service<Request<PlainBody<B>>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = PlainFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let dialect = Dialect::of(request.headers());
        let (mut parts, body) = request.into_parts();
        let body = self.gate.admit(&mut parts, body, (self.clock)());
        let request = body.map(|body| Request::from_parts(parts, body));
        PlainFuture::call(&mut self.inner, request, dialect, self.empty.clone())
    }
}
