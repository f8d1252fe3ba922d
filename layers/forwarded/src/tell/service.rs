use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::write::write;
use crate::{Client, ForwardedPolicy};

/// Tells the next hop who the client is; see [`TellLayer`](crate::TellLayer).
#[derive(Clone, Debug)]
pub struct Tell<S> {
    inner: S,
    policy: Arc<ForwardedPolicy>,
}

impl<S> Tell<S> {
    pub(crate) const fn new(inner: S, policy: Arc<ForwardedPolicy>) -> Self {
        Self { inner, policy }
    }
}

impl<S, B> Service<Request<B>> for Tell<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        let client: Option<&Client> = parts.extensions.get();
        if let Some(way) = client.map(|client| &client.way).or_else(|| parts.extensions.get()) {
            write(&self.policy, way, &mut parts.headers);
        }
        self.inner.call(Request::from_parts(parts, body))
    }
}
