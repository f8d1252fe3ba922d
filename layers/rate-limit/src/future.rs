use std::fmt;
use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::gate::{Due, Gate, Step};
use crate::rejection::Reply;
use crate::store::Asked;
use crate::wait::Waiter;
use crate::{InMemory, Limit, Store};

pin_project! {
    /// The response future of [`RateLimit`](crate::RateLimit).
    ///
    /// It allocates when it refuses, when it waits, and when the store has to ask somebody. Dropping it gives nothing
    /// back: who leaves has spent what it took.
    pub struct ResponseFuture<S, B, St = InMemory, R = DefaultBody>
    where
        S: Service<Request<B>>,
        St: Store,
    {
        #[pin]
        state: State<S::Future, S, B, St, R, St::Future>,
    }
}

pin_project! {
    #[project = Projection]
    enum State<F, S, B, St, R, A> {
        Called { #[pin] inner: F, due: Option<(Arc<[Limit]>, Due)> },
        Refused { limits: Arc<[Limit]>, reply: Reply<R> },
        Asking { #[pin] answer: A, waiter: Option<Waiter>, held: Option<Box<Held<S, B, St, R>>> },
        Waiting {
            sleep: Pin<Box<Sleep>>,
            waiter: Option<Waiter>,
            due: Due,
            held: Option<Box<Held<S, B, St, R>>>,
        },
        Readying { due: Due, held: Option<Box<Held<S, B, St, R>>> },
    }
}

/// A request that cannot go on yet, and what it needs then.
pub(crate) struct Held<S, B, St, R> {
    /// A clone, not ready.
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) gate: Arc<Gate<St>>,
    pub(crate) asked: Asked,
    pub(crate) dialect: Dialect,
    pub(crate) empty: R,
}

impl<S, B, St, R> ResponseFuture<S, B, St, R>
where
    S: Service<Request<B>>,
    St: Store,
{
    pub(crate) const fn called(inner: S::Future, due: Option<(Arc<[Limit]>, Due)>) -> Self {
        Self { state: State::Called { inner, due } }
    }

    pub(crate) const fn refused(limits: Arc<[Limit]>, reply: Reply<R>) -> Self {
        Self { state: State::Refused { limits, reply } }
    }

    pub(crate) fn held(held: Held<S, B, St, R>, step: Step<St::Future>) -> Self {
        Self { state: State::after(Box::new(held), step) }
    }
}

impl<F, S, B, St, R, A> State<F, S, B, St, R, A> {
    fn after(held: Box<Held<S, B, St, R>>, step: Step<A>) -> Self {
        match step {
            Step::Pass(due) => Self::Readying { due, held: Some(held) },
            Step::Wait(wait, waiter, due) => Self::Waiting {
                sleep: Box::pin(sleep(wait)),
                waiter: Some(waiter),
                due,
                held: Some(held),
            },
            Step::Ask(answer, waiter) => Self::Asking { answer, waiter, held: Some(held) },
            Step::Refuse(throttled, standing) => {
                let Held { gate, dialect, empty, .. } = *held;
                let reply = Reply { throttled, standing, dialect, empty };
                Self::Refused { limits: gate.limits.clone(), reply }
            }
        }
    }
}

impl<S, B, St, R, ResBody> Future for ResponseFuture<S, B, St, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    St: Store,
    R: EmptyBody<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    #[expect(clippy::panic, reason = "a future is polled after its end against its contract")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                // A response is large: that of which nothing is due goes by without being moved.
                Projection::Called { inner, due: None } => return inner.poll(cx),
                Projection::Called { inner, due: Some((limits, due)) } => {
                    let mut response = ready!(inner.poll(cx))?;
                    due.settle(limits, &mut response);
                    return Poll::Ready(Ok(response));
                }
                Projection::Refused { limits, reply } => {
                    return Poll::Ready(Ok(reply.response(limits)));
                }
                Projection::Asking { answer, waiter, held } => {
                    let verdict = ready!(answer.poll(cx));
                    let waiter = waiter.take();
                    held.take().map(|held| {
                        let step = held.gate.settle(&held.asked, waiter, verdict);
                        State::after(held, step)
                    })
                }
                Projection::Waiting { sleep, waiter, due, held } => {
                    ready!(sleep.as_mut().poll(cx));
                    *waiter = None;
                    held.take().map(|held| State::after(held, Step::Pass(take(due))))
                }
                Projection::Readying { due, held } => {
                    if let Some(held) = held {
                        ready!(held.service.poll_ready(cx))?;
                    }
                    held.take().map(|held| {
                        let Held { mut service, request, gate, .. } = *held;
                        let due = gate.with_limits(take(due));
                        State::Called { inner: service.call(request), due }
                    })
                }
            };
            let Some(next) = next else { panic!("polled after its end") };
            state.set(next);
        }
    }
}

impl<S, B, St, R> fmt::Debug for ResponseFuture<S, B, St, R>
where
    S: Service<Request<B>>,
    St: Store,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Called { .. } => "Called",
            State::Refused { .. } => "Refused",
            State::Asking { .. } => "Asking",
            State::Waiting { .. } => "Waiting",
            State::Readying { .. } => "Readying",
        })
    }
}
