use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::gate::Gate;
use crate::{Generator, RequestId, current};

pin_project! {
    /// The response future of [`RequestIdService`](crate::RequestIdService).
    pub struct ResponseFuture<F, G = Generator> {
        #[pin]
        inner: F,
        // There until the response has it.
        id: Option<RequestId>,
        span: Span,
        gate: Arc<Gate<G>>,
    }
}

impl<F, G> ResponseFuture<F, G> {
    pub(crate) const fn new(inner: F, id: RequestId, span: Span, gate: Arc<Gate<G>>) -> Self {
        Self { inner, id: Some(id), span, gate }
    }
}

impl<F, G, B, E> Future for ResponseFuture<F, G>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = {
            let _span = this.span.enter();
            let id = this.id.as_ref().filter(|_| this.gate.settings.keeps_current);
            let _current = id.map(current::enter);
            ready!(this.inner.poll(cx))
        };
        let mut response = result?;
        if let Some(id) = this.id.take() {
            // In the place of what the inner service says: a stored response has the id of another request.
            let name = this.gate.policy.answered_in();
            let value = if this.gate.settings.spares_response {
                id.into_value()
            } else {
                let value = id.as_value().clone();
                response.extensions_mut().insert(id);
                value
            };
            let _ = response.headers_mut().try_insert(name, this.gate.header(value));
        }
        Poll::Ready(Ok(response))
    }
}

impl<F, G> fmt::Debug for ResponseFuture<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("id", &self.id).finish_non_exhaustive()
    }
}
