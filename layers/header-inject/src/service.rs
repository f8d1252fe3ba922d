use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::ResponseFuture;
use crate::layer::Shared;
use crate::meters::Tally;

/// Applies header rules to each request and response; see
/// [`HeaderInjectLayer`](crate::HeaderInjectLayer).
///
/// A refused request leaves the readiness that it was granted with this service, for its next call.
#[derive(Clone, Debug)]
pub struct InjectHeaders<S, R = DefaultBody> {
    inner: S,
    shared: Arc<Shared>,
    empty: R,
}

impl<S, R> InjectHeaders<S, R> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>, empty: R) -> Self {
        Self { inner, shared, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for InjectHeaders<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let policy = &self.shared.policy;
        // As it is before rules change it.
        let dialect = policy.may_refuse().then(|| Dialect::of(request.headers()));
        let dialect = dialect.unwrap_or_default();
        let mut tally = Tally::new();
        let changed = if policy.asks_request() {
            let (mut parts, body) = request.into_parts();
            let changed = policy.change_request(&mut parts, &mut tally);
            request = Request::from_parts(parts, body);
            changed
        } else {
            policy.change_request_headers(request.headers_mut(), &mut tally)
        };
        self.shared.meters.add(&tally);
        match changed {
            Ok(()) => {
                let shared = policy.changes_responses().then(|| self.shared.clone());
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, shared, dialect, self.empty.clone())
            }
            Err(why) => ResponseFuture::refused(why, dialect, self.empty.clone()),
        }
    }
}
