use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::{HeaderInject, ResponseFuture};

/// Applies header rules to each request and response; see
/// [`HeaderInjectLayer`](crate::HeaderInjectLayer).
#[derive(Clone, Debug)]
pub struct InjectHeaders<S> {
    inner: S,
    policy: Arc<HeaderInject>,
}

impl<S> InjectHeaders<S> {
    pub(crate) const fn new(inner: S, policy: Arc<HeaderInject>) -> Self {
        Self { inner, policy }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for InjectHeaders<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        self.policy.change_request(&mut parts);
        let request = Request::from_parts(parts, body);
        ResponseFuture::new(self.inner.call(request), Arc::clone(&self.policy))
    }
}
