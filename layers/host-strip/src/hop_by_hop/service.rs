use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::HopByHopFuture;
use super::layer::Shared;

/// Removes the headers that are for one connection only; see [`HopByHopLayer`](crate::HopByHopLayer).
///
/// A refused request leaves the readiness that it was granted with this service, for its next call.
#[derive(Clone, Debug)]
pub struct HopByHopService<S, R = DefaultBody> {
    inner: S,
    shared: Arc<Shared>,
    empty: R,
}

impl<S, R> HopByHopService<S, R> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>, empty: R) -> Self {
        Self { inner, shared, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for HopByHopService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = HopByHopFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let dialect = Dialect::of(request.headers());
        let empty = self.empty.clone();
        match self.shared.policy.strip_request(&mut request) {
            Ok(stripped) => {
                self.shared.counters.requests.add(stripped.ignored());
                self.shared.requests.add(stripped.removed());
                let asked = stripped.into_asked();
                let response = self.inner.call(request);
                HopByHopFuture::called(response, self.shared.clone(), asked, dialect, empty)
            }
            Err(violation) => {
                self.shared.rejections.count(violation.reason());
                HopByHopFuture::refused(violation, dialect, empty)
            }
        }
    }
}
