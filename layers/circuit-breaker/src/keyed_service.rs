use std::hash::Hash;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::guard::Guard;
use crate::{
    Classify, ClassifyError, HttpClassifier, KeyOf, KeyedCircuitBreakerLayer, Open, ResponseBody,
    ResponseFuture,
};

/// Asks the inner service only while the circuit of the request's key lets it; see [`KeyedCircuitBreakerLayer`].
///
/// Before there is a request there is no circuit: it waits for the inner service to be ready, and a refused request leaves
/// that readiness for the next.
#[derive(Debug)]
pub struct KeyedCircuitBreaker<S, K, F, C = HttpClassifier, R = DefaultBody> {
    inner: S,
    layer: KeyedCircuitBreakerLayer<K, F, C, R>,
}

impl<S, K, F, C, R> KeyedCircuitBreaker<S, K, F, C, R> {
    pub(crate) const fn new(inner: S, layer: KeyedCircuitBreakerLayer<K, F, C, R>) -> Self {
        Self { inner, layer }
    }
}

impl<S: Clone, K, F: Clone, C: Clone, R: Clone> Clone for KeyedCircuitBreaker<S, K, F, C, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, K, F, C, R, ReqBody, ResBody> Service<Request<ReqBody>>
    for KeyedCircuitBreaker<S, K, F, C, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: Clone + Eq + Hash,
    F: KeyOf<K>,
    ResBody: Body,
    C: Classify + ClassifyError<S::Error> + ClassifyError<ResBody::Error> + Clone,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResponseBody<ResBody, C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let KeyedCircuitBreakerLayer { circuits, key, classifier, empty } = &self.layer;
        let guard = match key.key(&parts).map(|key| circuits.find_or_make(key, classifier)) {
            None => None,
            Some(gate) => match gate.breaker.admit() {
                Ok(ticket) => Some(Guard::new(gate, ticket)),
                Err(shut) => {
                    gate.breaker.reject();
                    let dialect = Dialect::of(&parts.headers);
                    return ResponseFuture::refused(empty.clone(), dialect, Open::new(shut.wait));
                }
            },
        };
        ResponseFuture::called(self.inner.call(Request::from_parts(parts, body)), guard)
    }
}
