use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::pseudonym::Hops;
use crate::{NotLetIn, Pseudonym, ResponseFuture};

/// Adds this hop to `Via`, and refuses what has been here before; see [`ViaLayer`](crate::ViaLayer).
///
/// The inner service is cloned when a request is refused before it: what it had reserved by being ready (a permit, a place in a
/// buffer) is let go at once instead of being kept for the next request.
#[derive(Clone, Debug)]
pub struct Via<S, R = DefaultBody> {
    inner: S,
    name: Pseudonym,
    /// Of its own, so that services on different cores do not share the reference counts.
    hops: Arc<Hops>,
    empty: R,
}

impl<S, R> Via<S, R> {
    pub(crate) fn new(inner: S, name: Pseudonym, empty: R) -> Self {
        let hops = Arc::new(name.hops());
        Self { inner, name, hops, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Via<S, R>
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let version = request.version();
        if !self.name.add_to(request.headers_mut(), &self.hops, version) {
            // The readied service is dropped with its reservation; the clone has none.
            self.inner = self.inner.clone();
            let dialect = Dialect::of(request.headers());
            return ResponseFuture::refused(NotLetIn::Loop, dialect, self.empty.clone());
        }
        ResponseFuture::called(self.inner.call(request))
    }
}
