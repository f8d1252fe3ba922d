use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::shard::Shard;
use crate::{InFlight, Phase, ResponseFuture};

/// Counts the requests in flight, and refuses new ones when the time is up; see [`DrainLayer`](crate::DrainLayer).
///
/// Clones share one count. A service per thread, each made by the layer, shares nothing.
#[derive(Clone, Debug)]
pub struct Drain<S, R = DefaultBody> {
    inner: S,
    shard: Arc<Shard>,
    empty: R,
}

impl<S, R> Drain<S, R> {
    pub(crate) const fn new(inner: S, shard: Arc<Shard>, empty: R) -> Self {
        Self { inner, shard, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Drain<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<HeldBody<ResBody, InFlight>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Refusing asks nothing of the inner service, so it waits for nothing either. Phases never go back: a `call`
        // that follows refuses, too, and cannot reach an inner service that was not polled here.
        if self.shard.phase() >= Phase::Forced {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let version = request.version();
        match InFlight::enter(&self.shard, &request) {
            Some(in_flight) => ResponseFuture::called(self.inner.call(request), in_flight, version),
            None => {
                let dialect = Dialect::of(request.headers());
                ResponseFuture::refused(self.empty.clone(), dialect, version)
            }
        }
    }
}
