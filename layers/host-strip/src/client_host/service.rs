use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::layer::Rules;
use crate::host::{HostPolicy, HostStripFuture, Refused, remember};

/// Sees to it that each request names one host; see [`ClientHostLayer`](crate::ClientHostLayer).
///
/// A refused request leaves the readiness that it was granted with this service, for its next call.
#[derive(Clone, Debug)]
pub struct ClientHostService<S, R = DefaultBody> {
    inner: S,
    rules: Arc<Rules>,
    empty: R,
}

impl<S, R> ClientHostService<S, R> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>, empty: R) -> Self {
        Self { inner, rules, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for ClientHostService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = HostStripFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.rules.policy.apply(&mut request) {
            Ok(ambiguous) => {
                if let Some(ambiguous) = ambiguous {
                    self.rules.passed.fetch_add(1, Ordering::Relaxed);
                    self.rules.ignored.count(ambiguous.reason());
                }
                if self.rules.remember {
                    remember(&mut request, &HostPolicy::Preserve);
                }
                HostStripFuture::called(self.inner.call(request))
            }
            Err(ambiguous) => {
                self.rules.rejections.count(ambiguous.reason());
                let dialect = Dialect::of(request.headers());
                let refused = Refused::Ambiguous(ambiguous);
                HostStripFuture::refused(refused, dialect, self.empty.clone())
            }
        }
    }
}
