use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{DefaultBody, EmptyBody};
use tower_service::Service;

use crate::shard::{Newcomer, Shard};
use crate::{DrainSignal, InFlight, Phase, ResponseFuture};

/// Counts the requests in flight, and refuses new ones when the time is up; see [`DrainLayer`](crate::DrainLayer).
///
/// Clones share one count. A service per thread, each made by the layer, shares nothing.
#[derive(Clone, Debug)]
pub struct Drain<S, R = DefaultBody> {
    inner: S,
    shard: Arc<Shard>,
    signals: bool,
    empty: R,
}

impl<S, R> Drain<S, R> {
    pub(crate) const fn new(inner: S, shard: Arc<Shard>, signals: bool, empty: R) -> Self {
        Self { inner, shard, signals, empty }
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(in_flight) = InFlight::enter(&self.shard, &Newcomer::request(&request)) else {
            return ResponseFuture::refused(&request, self.empty.clone());
        };
        if self.signals {
            request.extensions_mut().insert(DrainSignal::new(self.shard.clone()));
        }
        let (version, connects) = (request.version(), *request.method() == Method::CONNECT);
        ResponseFuture::called(self.inner.call(request), in_flight, version, connects)
    }
}
