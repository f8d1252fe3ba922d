use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::guard::Gate;
use crate::readiness::{Readiness, WhenOpen};
use crate::{Classify, ClassifyError, HttpClassifier, ResponseBody, ResponseFuture};

/// Asks the inner service only while its circuit lets it; see [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
///
/// Whether a call is let through is decided when it is polled ready: a probe's place is its own from then on, until the
/// call is over, or the service dropped. A clone has to be polled for itself.
#[derive(Clone, Debug)]
pub struct CircuitBreaker<S, C = HttpClassifier, R = DefaultBody> {
    inner: S,
    readiness: Readiness<C>,
    empty: R,
}

impl<S, C, R> CircuitBreaker<S, C, R> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate<C>>, empty: R, when_open: WhenOpen) -> Self {
        Self { inner, readiness: Readiness::new(gate, when_open), empty }
    }
}

impl<S, C, R, ReqBody, ResBody> Service<Request<ReqBody>> for CircuitBreaker<S, C, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    C: Classify + ClassifyError<S::Error> + ClassifyError<ResBody::Error>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResponseBody<ResBody, C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Refusing asks nothing of the inner service, so it waits for nothing either.
        if !ready!(self.readiness.poll(cx)) {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(self.inner.poll_ready(cx));
        if let Err(error) = &result {
            self.readiness.fail(self.readiness.classifier().error(error));
        }
        Poll::Ready(result)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.readiness.take() {
            Ok(guard) => ResponseFuture::called(self.inner.call(request), Some(guard)),
            Err(open) => {
                let dialect = Dialect::of(request.headers());
                ResponseFuture::refused(self.empty.clone(), dialect, open)
            }
        }
    }
}
