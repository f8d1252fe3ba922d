use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::HeaderInject;

pin_project! {
    /// The response future of [`InjectHeaders`](crate::InjectHeaders).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        policy: Arc<HeaderInject>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) const fn new(inner: F, policy: Arc<HeaderInject>) -> Self {
        Self { inner, policy }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        this.policy.change_response(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}
