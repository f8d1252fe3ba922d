use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::gate::Waiting;
use crate::{Overloaded, Permit, Why};

pin_project! {
    /// The response future of [`ConcurrencyLimit`](crate::ConcurrencyLimit).
    ///
    /// Dropping it frees its place, or its place in the queue; it allocates when it waits and when it refuses.
    pub struct ResponseFuture<S, B, R = DefaultBody>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S::Future, S, B, R>,
    }
}

pin_project! {
    #[project = Projection]
    enum State<F, S, B, R> {
        Called {
            #[pin]
            inner: F,
            permit: Option<Permit>, // after `inner`, to be dropped after it
            connects: bool,
        },
        Readying { held: Option<Box<Held<S, B>>>, permit: Option<Permit> },
        Waiting {
            held: Option<Box<Held<S, B>>>,
            waiting: Option<Waiting>,
            late: Option<Pin<Box<Sleep>>>,
            empty: Option<R>,
            dialect: Dialect,
        },
        Refused { refusal: Overloaded, empty: R, dialect: Dialect },
    }
}

/// A request that cannot go on yet, and a clone of the service, not ready.
pub(crate) struct Held<S, B> {
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) connects: bool,
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    pub(crate) const fn called(inner: S::Future, permit: Permit, connects: bool) -> Self {
        Self { state: State::Called { inner, permit: Some(permit), connects } }
    }

    pub(crate) fn admitted(permit: Permit, held: Held<S, B>) -> Self {
        Self { state: State::Readying { held: Some(Box::new(held)), permit: Some(permit) } }
    }

    pub(crate) fn waiting(waiting: Waiting, held: Held<S, B>, empty: R, dialect: Dialect) -> Self {
        let longest = waiting.terms.policy.queue.as_ref().map(|queue| queue.longest);
        let state = State::Waiting {
            held: Some(Box::new(held)),
            waiting: Some(waiting),
            late: longest.map(|longest| Box::pin(sleep(longest))),
            empty: Some(empty),
            dialect,
        };
        Self { state }
    }

    pub(crate) const fn refused(refusal: Overloaded, empty: R, dialect: Dialect) -> Self {
        Self { state: State::Refused { refusal, empty, dialect } }
    }
}

impl<S, B, R, ResBody> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body,
    R: EmptyBody<ResBody>,
{
    type Output = Result<Response<HeldBody<ResBody, Permit>>, S::Error>;

    #[expect(clippy::panic, reason = "a future is polled after its end against its contract")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projection::Called { inner, permit, connects } => {
                    let result = ready!(inner.poll(cx));
                    return Poll::Ready(answer(result, permit.take(), *connects));
                }
                Projection::Readying { held, permit } => {
                    if let Some(held) = held {
                        ready!(held.service.poll_ready(cx))?;
                    }
                    held.take().map(|held| {
                        let Held { mut service, request, connects } = *held;
                        let inner = service.call(request);
                        State::Called { inner, permit: permit.take(), connects }
                    })
                }
                Projection::Waiting { held, waiting, late, empty, dialect } => {
                    let turn = waiting.as_mut().map(|it| Pin::new(it.ticket.turn()).poll(cx));
                    match (turn, waiting.take()) {
                        (Some(Poll::Ready(Ok(place))), Some(waited)) => {
                            let permit = Some(waited.into_permit(place));
                            Some(State::Readying { held: held.take(), permit })
                        }
                        (Some(_), Some(waited)) => {
                            let late = late.as_mut().map(|late| late.as_mut().poll(cx));
                            if late == Some(Poll::Pending) {
                                *waiting = Some(waited);
                                return Poll::Pending;
                            }
                            let refusal = waited.terms.refuse(Why::Late);
                            let dialect = *dialect;
                            empty.take().map(|empty| State::Refused { refusal, empty, dialect })
                        }
                        _ => None,
                    }
                }
                Projection::Refused { refusal, empty, dialect } => {
                    let body = HeldBody::free(empty.empty());
                    return Poll::Ready(Ok(refusal.refusal().into_response(*dialect, body)));
                }
            };
            let Some(next) = next else { panic!("polled after its end") };
            state.set(next);
        }
    }
}

/// With the permit where it lasts as long as the answer.
fn answer<B: Body, E>(
    result: Result<Response<B>, E>,
    permit: Option<Permit>,
    connects: bool,
) -> Result<Response<HeldBody<B, Permit>>, E> {
    let Some(mut permit) = permit else {
        return result.map(|response| response.map(HeldBody::free));
    };
    permit.answered(result.as_ref().is_ok_and(is_well));
    let mut response = result?;
    let status = response.status();
    // RFC 9110 §7.8, §9.3.6: what comes after such a head is no body, and no longer seen here.
    if status == StatusCode::SWITCHING_PROTOCOLS || connects && status.is_success() {
        response.extensions_mut().insert(permit.into_tunnel());
        return Ok(response.map(HeldBody::free));
    }
    Ok(response.map(|body| HeldBody::new(body, permit)))
}

/// Whether the inner service does not say that it has too much to do.
fn is_well<B>(response: &Response<B>) -> bool {
    !matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Called { .. } => "Called",
            State::Readying { .. } => "Readying",
            State::Waiting { .. } => "Waiting",
            State::Refused { .. } => "Refused",
        })
    }
}
