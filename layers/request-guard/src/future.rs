use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use portcullis_refusal::{DefaultBody, EmptyBody};

use crate::alarm::Alarm;
use crate::rejection::Reply;

pin_project! {
    /// The response future of [`RequestGuard`](crate::RequestGuard).
    #[derive(Debug)]
    pub struct ResponseFuture<F, R = DefaultBody> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F, R> {
        Called { #[pin] inner: F, watch: Option<(Alarm, Reply<R>)> },
        Refused { reply: Reply<R> },
    }
}

impl<F, R> ResponseFuture<F, R> {
    /// Without `watch`, the body cannot exceed its ceiling.
    pub(crate) const fn called(inner: F, watch: Option<(Alarm, Reply<R>)>) -> Self {
        Self { state: State::Called { inner, watch } }
    }

    pub(crate) const fn refused(reply: Reply<R>) -> Self {
        Self { state: State::Refused { reply } }
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: EmptyBody<B> + Clone,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let reply = match state.as_mut().project() {
            StateProj::Called { inner, watch: None } => return inner.poll(cx),
            StateProj::Called { inner, watch: Some((alarm, reply)) } => {
                if !alarm.is_raised() {
                    let answer = inner.poll(cx);
                    // Polling may have read the body, or another task may have, at any moment.
                    let raised = match answer {
                        Poll::Ready(_) => alarm.is_raised(),
                        Poll::Pending => alarm.is_raised_or_wakes(cx.waker()),
                    };
                    if !raised {
                        return answer;
                    }
                }
                reply.clone()
            }
            StateProj::Refused { reply } => reply.clone(),
        };

        let response = reply.response();
        // Drops the inner future now: nobody waits for what it makes of half a body.
        state.set(State::Refused { reply });
        Poll::Ready(Ok(response))
    }
}
