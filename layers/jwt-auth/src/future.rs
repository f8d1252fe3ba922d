use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use portcullis_refusal::EmptyBody;
use tower_service::Service;

use crate::later::{Ended, Later};

pin_project! {
    /// The response future of [`JwtAuth`](crate::JwtAuth): the inner one, or a refusal that is ready, or a request that
    /// waits for keys or for a [`TokenStatus`](crate::TokenStatus).
    ///
    /// Only the last allocates: a box for the request, and one for what it waits for. Dropping it ends the waiting, and
    /// the asking of a [`TokenStatus`](crate::TokenStatus), but not that for keys, which others may wait for, too.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, F, B, ResBody, R> {
        #[pin]
        step: Step<S, F, B, ResBody, R>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S, F, B, ResBody, R> {
        Called { #[pin] inner: F },
        Waiting { later: Box<Later<S, B, R>> },
        Refused { response: Option<Response<ResBody>> }, // none when it was given out
    }
}

impl<S, F, B, ResBody, R> ResponseFuture<S, F, B, ResBody, R> {
    pub(crate) const fn called(inner: F) -> Self {
        Self { step: Step::Called { inner } }
    }

    pub(crate) fn waiting(later: Later<S, B, R>) -> Self {
        Self { step: Step::Waiting { later: Box::new(later) } }
    }

    pub(crate) const fn refused(response: Response<ResBody>) -> Self {
        Self { step: Step::Refused { response: Some(response) } }
    }
}

impl<S, B, ResBody, R> Future for ResponseFuture<S, S::Future, B, ResBody, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: EmptyBody<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepProjection::Called { inner } => return inner.poll(cx),
                // Polled again after it was ready, as no future may be, it waits for ever rather than panic.
                StepProjection::Refused { response } => {
                    return response.take().map_or(Poll::Pending, |it| Poll::Ready(Ok(it)));
                }
                StepProjection::Waiting { later } => match ready!(later.poll(cx)) {
                    Ok(inner) => Step::Called { inner },
                    Err(Ended::Refused(response)) => Step::Refused { response: Some(response) },
                    Err(Ended::Failed(error)) => return Poll::Ready(Err(error)),
                },
            };
            this.step.set(next);
        }
    }
}

impl<S, F, B, ResBody, R> fmt::Debug for ResponseFuture<S, F, B, ResBody, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
