use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::{Addresses, Client, NotLetIn, ResponseFuture};

/// Refuses clients by their addresses; see [`LetInLayer`](crate::LetInLayer).
///
/// The inner service is cloned when a request is refused before it: what it had reserved by being ready (a permit, a place in a
/// buffer) is let go at once instead of being kept for the next request.
#[derive(Clone, Debug)]
pub struct LetIn<S, R = DefaultBody> {
    inner: S,
    addresses: Arc<Addresses>,
    empty: R,
}

impl<S, R> LetIn<S, R> {
    pub(crate) const fn new(inner: S, addresses: Arc<Addresses>, empty: R) -> Self {
        Self { inner, addresses, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for LetIn<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.addresses.let_in(request.extensions().get().map(Client::address)) {
            return ResponseFuture::called(self.inner.call(request));
        }
        // The readied service is dropped with its reservation; the clone has none.
        self.inner = self.inner.clone();
        let dialect = Dialect::of(request.headers());
        ResponseFuture::refused(NotLetIn::Address, dialect, self.empty.clone())
    }
}
