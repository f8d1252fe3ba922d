use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::alarm::Alarm;
use crate::policy::with_path;
use crate::rejection::{Rejection, Reply};
use crate::{Flaw, GuardedBody, Part, Policy, ResponseFuture, Unfit};

/// Refuses requests that are too large or unfit; see [`RequestGuardLayer`](crate::RequestGuardLayer).
///
/// The inner service is cloned when a request is refused before it: what it had reserved by being ready (a permit, a
/// place in a buffer) is let go at once instead of being kept for the next request.
#[derive(Clone, Debug)]
pub struct RequestGuard<S, R = DefaultBody> {
    inner: S,
    policy: Arc<Policy>,
    empty: R,
}

impl<S, R> RequestGuard<S, R> {
    pub(crate) const fn new(inner: S, policy: Arc<Policy>, empty: R) -> Self {
        Self { inner, policy, empty }
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let judged = judge(&self.policy, &mut request);
        let reply =
            |rejection| Reply::new(rejection, Dialect::of(request.headers()), self.empty.clone());
        if let Err(rejection) = judged {
            // The readied service is dropped with its reservation; the clone has none.
            let refused = ResponseFuture::refused(reply(rejection));
            self.inner = self.inner.clone();
            return refused;
        }

        let hint = request.body().size_hint();
        let watch = self.policy.may_exceed(hint).map(|body| (Alarm::new(), reply(body.into())));
        let alarm = watch.as_ref().map(|(alarm, _)| alarm.clone());
        let limit = self.policy.limit(Part::Body);
        let request = request.map(|body| GuardedBody::new(body, limit, alarm));
        ResponseFuture::called(self.inner.call(request), watch)
    }
}

/// Whether `request` may pass; if its path is normalised, it passes with that.
fn judge<B: Body>(policy: &Policy, request: &mut Request<B>) -> Result<(), Rejection> {
    if let Some(path) = policy.check(request)? {
        let uri = with_path(request.uri(), &path).ok_or(Unfit::Path(Flaw::Encoding))?;
        *request.uri_mut() = uri;
    }
    Ok(())
}
