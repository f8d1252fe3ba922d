use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};
use tower_service::Service;

use crate::preparation::{Preparation, Stopped};
use crate::signer::Signer;
use crate::{NotSigned, SignedBody};

pin_project! {
    /// The response future of [`SigV4Sign`](crate::SigV4Sign).
    ///
    /// It allocates a box to wait for credentials where none are at hand. Dropping it ends whatever it is at: reading the
    /// body, waiting for credentials or for the inner service, or the inner future. The provider is asked to the end.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, F, B, R> {
        #[pin]
        step: Step<S, F, B>,
        signer: Arc<Signer>,
        dialect: Dialect,
        empty: R,
    }
}

pin_project! {
    #[project = StepProjection]
    pub(crate) enum Step<S, F, B> {
        Prepare { preparation: Preparation<S, B> },
        Respond { #[pin] response: F },
        Refuse { reason: NotSigned },
    }
}

impl<S, F, B, R> ResponseFuture<S, F, B, R> {
    pub(crate) const fn new(
        step: Step<S, F, B>,
        signer: Arc<Signer>,
        dialect: Dialect,
        empty: R,
    ) -> Self {
        Self { step, signer, dialect, empty }
    }
}

impl<S, B, R, ResBody> Future for ResponseFuture<S, S::Future, B, R>
where
    S: Service<Request<SignedBody<B>>, Response = Response<ResBody>>,
    B: Body<Data = Bytes> + Unpin,
    R: EmptyBody<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepProjection::Prepare { preparation } => match ready!(preparation.poll(cx)) {
                    Ok(response) => Step::Respond { response },
                    Err(Stopped::Refused(reason)) => Step::Refuse { reason },
                    Err(Stopped::Failed(error)) => return Poll::Ready(Err(error)),
                },
                StepProjection::Respond { response } => {
                    let response = ready!(response.poll(cx))?;
                    this.signer.learn(&response);
                    return Poll::Ready(Ok(response));
                }
                StepProjection::Refuse { reason } => {
                    this.signer.refused(*reason);
                    let body = this.empty.empty();
                    return Poll::Ready(Ok(reason.into_response(*this.dialect, body)));
                }
            };
            this.step.set(next);
        }
    }
}

impl<S, F, B, R> fmt::Debug for ResponseFuture<S, F, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
