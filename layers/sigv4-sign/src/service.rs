use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::plan::Plan;
use crate::preparation::Preparation;
use crate::signer::Signer;
use crate::source::Source;
use crate::{ResponseFuture, SignedBody};

/// Signs each request; see [`SigV4SignLayer`](crate::SigV4SignLayer).
///
/// Where there is nothing to wait for, the inner service is called at once. Where the body has to be read or credentials
/// to be asked for, its place is given back, and a clone is readied when all is there. Bodies are of [`Bytes`] and
/// [`Unpin`].
#[derive(Clone, Debug)]
pub struct SigV4Sign<S, R = DefaultBody> {
    inner: S,
    signer: Arc<Signer>,
    clock: fn() -> SystemTime,
    empty: R,
}

impl<S, R> SigV4Sign<S, R> {
    pub(crate) const fn new(
        inner: S,
        signer: Arc<Signer>,
        clock: fn() -> SystemTime,
        empty: R,
    ) -> Self {
        Self { inner, signer, clock, empty }
    }
}

impl<S, B, R, ResBody> Service<Request<B>> for SigV4Sign<S, R>
where
    S: Service<Request<SignedBody<B>>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes> + Unpin,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, S::Future, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let dialect = Dialect::of(request.headers());
        let empty = self.empty.clone();
        let (mut parts, body) = request.into_parts();

        let signed = match (self.signer.prepare(&mut parts, &body), self.signer.source()) {
            (Ok(Plan::Known(settled)), Source::Fixed(credentials)) => {
                self.signer.sign(&mut parts, &settled, credentials, (self.clock)())
            }
            (Ok(plan), _) => {
                let (signer, clock) = (Arc::clone(&self.signer), self.clock);
                let inner = self.release();
                let preparation = Preparation::new(inner, signer, clock, parts, body, plan);
                return ResponseFuture::prepare(preparation, dialect, empty);
            }
            (Err(reason), _) => Err(reason),
        };
        match signed {
            Ok(encoder) => {
                let body = SignedBody::passing(body).encoded(encoder);
                let request = Request::from_parts(parts, body);
                ResponseFuture::respond(self.inner.call(request), dialect, empty)
            }
            Err(reason) => {
                drop(self.release());
                ResponseFuture::refuse(reason, dialect, empty)
            }
        }
    }
}

impl<S: Clone, R> SigV4Sign<S, R> {
    /// Gives back the place in the inner service that `poll_ready` took, and returns one without.
    fn release(&mut self) -> S {
        self.inner = self.inner.clone();
        self.inner.clone()
    }
}
