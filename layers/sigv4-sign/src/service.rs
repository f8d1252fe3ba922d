use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::future::Step;
use crate::plan::Plan;
use crate::preparation::Preparation;
use crate::signer::Signer;
use crate::{ResponseFuture, SignedBody};

/// Signs each request; see [`SigV4SignLayer`](crate::SigV4SignLayer).
///
/// Where there is nothing to wait for, the inner service is called at once. Where the body has to be read or credentials
/// to be waited for, its place is given back, and a clone is readied when all is there. Bodies are of [`Bytes`] and
/// [`Unpin`].
#[derive(Clone, Debug)]
pub struct SigV4Sign<S, R = DefaultBody> {
    inner: S,
    signer: Arc<Signer>,
    empty: R,
}

impl<S, R> SigV4Sign<S, R> {
    pub(crate) const fn new(inner: S, signer: Arc<Signer>, empty: R) -> Self {
        Self { inner, signer, empty }
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

        let plan = self.signer.prepare(&mut parts, &body);
        let signed = match &plan {
            Ok(Plan::Known(settled)) => self.signer.sign(&mut parts, settled),
            Ok(Plan::Read(_)) => None,
            Err(reason) => Some(Err(*reason)),
        };
        let step = match (signed, plan) {
            (Some(Ok(encoder)), _) => {
                let body = SignedBody::passing(body).encoded(encoder);
                Step::Respond { response: self.inner.call(Request::from_parts(parts, body)) }
            }
            (Some(Err(reason)), _) | (None, Err(reason)) => {
                drop(self.release());
                Step::Refuse { reason }
            }
            (None, Ok(plan)) => {
                let signer = Arc::clone(&self.signer);
                let preparation = Preparation::new(self.release(), signer, parts, body, plan);
                Step::Prepare { preparation }
            }
        };
        ResponseFuture::new(step, Arc::clone(&self.signer), dialect, empty)
    }
}

impl<S: Clone, R> SigV4Sign<S, R> {
    /// Gives back the place in the inner service that `poll_ready` took, and returns one without.
    fn release(&mut self) -> S {
        self.inner = self.inner.clone();
        self.inner.clone()
    }
}
