use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use http_body::Body;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::future::Held;
use crate::gate::{Entry, Gate};
use crate::{Permit, ResponseFuture};

/// Asks the inner service only while there is a place; see [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer).
///
/// Being ready takes no place: a request takes one when it is there. One that has to wait holds nothing of the inner
/// service's meanwhile, and readies a clone of it when its turn comes.
#[derive(Debug)]
pub struct ConcurrencyLimit<S, R = DefaultBody> {
    inner: S,
    /// The inner service is: what is readied is what is called.
    is_ready: bool,
    gate: Arc<Gate>,
    empty: R,
}

impl<S, R> ConcurrencyLimit<S, R> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate>, empty: R) -> Self {
        Self { inner, is_ready: false, gate, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for ConcurrencyLimit<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<HeldBody<ResBody, Permit>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Refusing asks nothing of the inner service, and who has to wait will ask later.
        if !self.is_ready && self.gate.is_full() {
            return Poll::Ready(Ok(()));
        }
        let result = self.inner.poll_ready(cx);
        self.is_ready = matches!(result, Poll::Ready(Ok(())));
        result
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let is_ready = std::mem::take(&mut self.is_ready);
        let mut hash = 0;
        // Taken apart only for who has to be known: it is large.
        if let Some(hash_of) = self.gate.hash_of() {
            let (parts, body) = request.into_parts();
            hash = hash_of.hash(&parts);
            request = Request::from_parts(parts, body);
        }
        let connects = *request.method() == Method::CONNECT;
        let entry = match self.gate.enter(hash) {
            Entry::Permit(permit) if is_ready => {
                return ResponseFuture::called(self.inner.call(request), permit, connects);
            }
            entry => entry,
        };

        if is_ready {
            // The readied service is dropped with its reservation; the clone has none.
            self.inner = self.inner.clone();
        }
        let dialect = Dialect::of(request.headers());
        let held = Held { service: self.inner.clone(), request, connects };
        match entry {
            Entry::Permit(permit) => ResponseFuture::admitted(permit, held),
            Entry::Waiting(waiting) => {
                ResponseFuture::waiting(waiting, held, self.empty.clone(), dialect)
            }
            Entry::Refused(refusal) => {
                ResponseFuture::refused(refusal, self.empty.clone(), dialect)
            }
        }
    }
}

/// A clone is not ready.
impl<S: Clone, R: Clone> Clone for ConcurrencyLimit<S, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.gate.clone(), self.empty.clone())
    }
}
