use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;
use tracing::Span;
use tracing::field::{Empty, display};

use crate::gate::Gate;
use crate::request_id::Sanitised;
use crate::{Generator, MakeRequestId, ResponseFuture, current};

/// Gives each request an id; see [`RequestIdLayer`](crate::RequestIdLayer).
#[derive(Clone, Debug)]
pub struct RequestIdService<S, G = Generator> {
    inner: S,
    gate: Arc<Gate<G>>,
}

impl<S, G> RequestIdService<S, G> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate<G>>) -> Self {
        Self { inner, gate }
    }
}

impl<S, G, ReqBody, ResBody> Service<Request<ReqBody>> for RequestIdService<S, G>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    G: MakeRequestId,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, G>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let (id, not_believed) = self.gate.id(&parts);
        self.gate.policy.remove(self.gate.lengths, &mut parts.headers);
        let header = &self.gate.policy.header;
        // In the place of all lines; the limit of a header map is not worth a panic.
        let value = self.gate.header(id.as_value().clone());
        if parts.headers.try_insert(header, value).is_err() {
            parts.headers.remove(header);
        }
        parts.extensions.insert(id.clone());
        let request = Request::from_parts(parts, body);

        let span = if self.gate.settings.in_span {
            let span = tracing::debug_span!(
                "request",
                http.request.id = %id,
                http.request.id.sent = Empty
            );
            if let Some(sent) = &not_believed {
                span.record("http.request.id.sent", display(Sanitised(sent)));
            }
            span
        } else {
            Span::none()
        };
        let inner = {
            let _span = span.enter();
            let _current = self.gate.settings.keeps_current.then(|| current::enter(&id));
            self.inner.call(request)
        };
        ResponseFuture::new(inner, id, span, self.gate.clone())
    }
}
