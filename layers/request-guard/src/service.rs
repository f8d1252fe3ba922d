use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::alarm::Alarm;
use crate::rejection::Reply;
use crate::{Ceilings, GuardedBody, ResponseFuture};

/// Refuses requests that are too large; see [`RequestGuardLayer`](crate::RequestGuardLayer).
///
/// The inner service is cloned when a request is refused before it: what it had reserved by being ready (a permit, a
/// place in a buffer) is let go at once instead of being kept for the next request.
#[derive(Clone, Debug)]
pub struct RequestGuard<S, R = DefaultBody> {
    inner: S,
    ceilings: Ceilings,
    empty: R,
}

impl<S, R> RequestGuard<S, R> {
    pub(crate) const fn new(inner: S, ceilings: Ceilings, empty: R) -> Self {
        Self { inner, ceilings, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RequestGuard<S, R>
where
    S: Service<Request<GuardedBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    ReqBody: Body,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let reply =
            |too_large| Reply::new(too_large, Dialect::of(request.headers()), self.empty.clone());
        if let Err(too_large) = self.ceilings.check(&request) {
            let reply = reply(too_large);
            // The readied service is dropped with its reservation; the clone has none.
            self.inner = self.inner.clone();
            return ResponseFuture::refused(reply);
        }

        let hint = request.body().size_hint();
        let watch = self.ceilings.may_exceed(hint).map(|body| (Alarm::new(), reply(body)));
        let alarm = watch.as_ref().map(|(alarm, _)| alarm.clone());
        let limit = self.ceilings.body();
        let request = request.map(|body| GuardedBody::new(body, limit, alarm));
        ResponseFuture::called(self.inner.call(request), watch)
    }
}
