use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};
use tower_service::Service;

use crate::plain_body::Failure;
use crate::{PlainBody, Unverified};

pin_project! {
    /// The response future of [`SigV4Verify`](crate::SigV4Verify) and [`AwsChunked`](crate::AwsChunked).
    ///
    /// It is the inner one, or a refusal; and a refusal, too, where the inner one ends after the body has turned out not
    /// to be the client's, whatever came of that: an error, or an answer to a request that was never complete.
    #[must_use = "futures do nothing unless polled"]
    pub struct PlainFuture<F, R> {
        #[pin]
        step: Step<F>,
        dialect: Dialect,
        empty: R,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F> {
        Called { #[pin] response: F, failure: Option<Failure> },
        Refused { reason: Unverified },
    }
}

impl<F, R> PlainFuture<F, R> {
    /// Calls `inner`, which is ready, or gives back its readiness where there is nothing to call it with.
    pub(crate) fn call<S, B>(
        inner: &mut S,
        request: Result<Request<PlainBody<B>>, Unverified>,
        dialect: Dialect,
        empty: R,
    ) -> Self
    where
        S: Service<Request<PlainBody<B>>, Future = F> + Clone,
    {
        let step = match request {
            Ok(request) => {
                let failure = request.body().failure();
                Step::Called { response: inner.call(request), failure }
            }
            Err(reason) => {
                // What was readied is not called: it goes, with the permit it may hold.
                *inner = inner.clone();
                Step::Refused { reason }
            }
        };
        Self { step, dialect, empty }
    }
}

impl<F, E, R, ResBody> Future for PlainFuture<F, R>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    R: EmptyBody<ResBody>,
{
    type Output = Result<Response<ResBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let reason = match this.step.project() {
            StepProjection::Called { response, failure } => {
                let output = ready!(response.poll(cx));
                match failure.as_ref().and_then(|failure| failure.get()) {
                    Some(reason) => *reason,
                    None => return Poll::Ready(output),
                }
            }
            StepProjection::Refused { reason } => *reason,
        };
        Poll::Ready(Ok(reason.into_response(*this.dialect, this.empty.empty())))
    }
}

impl<F, R> fmt::Debug for PlainFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainFuture").finish_non_exhaustive()
    }
}
