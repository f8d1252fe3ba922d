use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::HostStripFuture;
use super::future::Refused;
use super::rules::Rules;

/// Gives each request the `Host` that the upstream is to see; see [`HostStripLayer`](crate::HostStripLayer).
///
/// A refused request leaves the readiness that it was granted with this service, for its next call.
#[derive(Clone, Debug)]
pub struct HostStrip<S, R = DefaultBody> {
    inner: S,
    rules: Arc<Rules>,
    empty: R,
}

impl<S, R> HostStrip<S, R> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>, empty: R) -> Self {
        Self { inner, rules, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for HostStrip<S, R>
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
        match self.rules.apply(&mut request) {
            Ok(()) => HostStripFuture::called(self.inner.call(request)),
            Err(no_authority) => {
                self.rules.rejections.count(no_authority.reason());
                let dialect = Dialect::of(request.headers());
                let refused = Refused::NoAuthority(no_authority);
                HostStripFuture::refused(refused, dialect, self.empty.clone())
            }
        }
    }
}
