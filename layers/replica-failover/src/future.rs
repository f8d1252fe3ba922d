use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_refusal::EmptyBody;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::course::Go;
use crate::hedging::hedge;
use crate::race::{Entry, Race};
use crate::set::Set;
use crate::trip::{Trip, Turn};
use crate::{Classify, InFlight, ReplayBody, ResumeBody};

pin_project! {
    /// The response future of [`ReplicaFailover`](crate::ReplicaFailover).
    ///
    /// The first replica is picked when it is first polled. Dropping it ends the attempt in hand, which then counts as
    /// neither a failure of its replica nor an answer.
    ///
    /// # Panics
    ///
    /// When polled outside of a Tokio runtime with its timer enabled, if it has to wait.
    pub struct ResponseFuture<S, B, P, C, R>
    where
        S: Service<Request<ReplayBody<B>>>,
    {
        #[pin]
        step: Step<S, S::Future, P>,
        // When the step began.
        began: Option<Instant>,
        #[pin]
        timer: Option<Sleep>,
        trip: Trip<S, B, C, R>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<S, F, P> {
        Start,
        Wait { go: Go },
        Ready { service: S, go: Go },
        Call { #[pin] response: F, index: usize, in_flight: Option<InFlight> },
        // What may be hedged is boxed: others may come beside it.
        Race { race: Race<F> },
        // The replica has the request in hand until the body is gone.
        Drain { #[pin] body: P, left: u64, go: Go, in_flight: Option<InFlight> },
        Done,
    }
}

impl<S, B, P, C, R> ResponseFuture<S, B, P, C, R>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body<Data = Bytes>,
{
    pub(crate) fn new(set: Arc<Set<S>>, classify: C, empty: R, request: Request<B>) -> Self {
        let trip = Trip::new(set, classify, empty, request);
        Self { step: Step::Start, began: None, timer: None, trip }
    }
}

impl<S, B, P, C, R> Future for ResponseFuture<S, B, P, C, R>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<P>> + Clone,
    P: Body,
    C: Classify<S::Error> + Clone,
    R: EmptyBody<P>,
{
    type Output = Result<Response<ResumeBody<S, B, P, C>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (trip, mut timer) = (this.trip, this.timer);
        loop {
            let began = *this.began.get_or_insert_with(Instant::now);
            // Each step is asked before the clock: what is there in time counts.
            // To start takes no time, and to look at the clock does.
            let is_start = matches!(*this.step, Step::Start);
            let turn = match this.step.as_mut().project() {
                StepProj::Start => trip.start(began),
                StepProj::Wait { go } => {
                    ready!(over(timer.as_mut(), go.at, cx));
                    Turn::Ready(*go)
                }
                StepProj::Ready { service, go } => match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let (index, in_flight) = (go.index, trip.enter(go.index));
                        let response = service.call(trip.send(began));
                        this.step.set(match trip.race() {
                            None => Step::Call { response, index, in_flight },
                            Some(mut race) => {
                                let reader = trip.replay.last_reader();
                                let entry = Entry { index, began, in_flight, reader, hedge: None };
                                race.enter(entry, response);
                                Step::Race { race }
                            }
                        });
                        timer.set(None);
                        continue;
                    }
                    Poll::Ready(Err(error)) => trip.unready(go.index, began, error),
                    Poll::Pending if !go.patient => trip.busy(go.index),
                    Poll::Pending => {
                        ready!(over(timer.as_mut(), trip.limit_of_readiness(began), cx));
                        trip.never_ready(go.index, began)
                    }
                },
                StepProj::Call { response, index, in_flight } => match response.poll(cx) {
                    Poll::Ready(said) => {
                        trip.answered(*index, began, said, in_flight.take(), false)
                    }
                    Poll::Pending => {
                        ready!(over(timer.as_mut(), trip.limit_of_attempt(began), cx));
                        trip.timed_out(*index, began, false)
                    }
                },
                StepProj::Race { race } => {
                    let turn = ready!(raced(trip, race, timer.as_mut(), cx));
                    if matches!(turn, Turn::Answer(_)) {
                        trip.beaten(race);
                    }
                    turn
                }
                StepProj::Drain { body, left, go, .. } => {
                    if drained(body, left, cx).is_pending() {
                        ready!(over(timer.as_mut(), began.checked_add(DRAIN), cx));
                    }
                    Turn::from(*go)
                }
                StepProj::Done => return Poll::Pending,
            };
            timer.set(None);
            if !is_start {
                *this.began = None;
            }
            match turn {
                Turn::Race => {}
                Turn::Ready(go) => match trip.service(go.index) {
                    Some(service) => this.step.set(Step::Ready { service, go }),
                    None => this.step.set(Step::Start),
                },
                Turn::Wait(go) => this.step.set(Step::Wait { go }),
                Turn::Drain { body, in_flight, go } => {
                    let left = trip.max_drain();
                    this.step.set(Step::Drain { body, left, go, in_flight });
                }
                Turn::Answer(answer) => {
                    this.step.set(Step::Done);
                    return Poll::Ready(answer.map(|response| trip.served(response)));
                }
            }
        }
    }
}

impl<S, B, P, C, R> fmt::Debug for ResponseFuture<S, B, P, C, R>
where
    S: Service<Request<ReplayBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// What comes of the attempts of a request that may be hedged.
fn raced<S, B, P, C, R>(
    trip: &mut Trip<S, B, C, R>,
    race: &mut Race<S::Future>,
    timer: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Turn<P, S::Error>>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<P>> + Clone,
    P: Body,
    C: Classify<S::Error>,
    R: EmptyBody<P>,
{
    if let Poll::Ready((mut entry, said)) = race.poll(cx) {
        trip.reader = entry.reader;
        let (index, began, in_flight) = (entry.index, entry.began, entry.in_flight.take());
        let turn = trip.answered(index, began, said, in_flight, !race.is_over());
        trip.settled(entry, matches!(turn, Turn::Answer(_)));
        return Poll::Ready(turn);
    }
    ready!(over(timer, race.next_event(|began| trip.limit_of_attempt(began)), cx));
    if let Some(entry) = race.expired(|began| trip.limit_of_attempt(began), Instant::now()) {
        trip.measure(&entry, Instant::now());
        let turn = trip.timed_out(entry.index, entry.began, !race.is_over());
        trip.settled(entry, matches!(turn, Turn::Answer(_)));
        return Poll::Ready(turn);
    }
    hedge(trip, race, cx);
    Poll::Ready(Turn::Race)
}

/// Whether the time has come; without a limit it never does.
pub(crate) fn over(
    mut timer: Pin<&mut Option<Sleep>>,
    limit: Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let Some(limit) = limit else { return Poll::Pending };
    // Most requests are answered without a timer.
    if timer.is_none() {
        timer.set(Some(sleep_until(limit)));
    }
    timer.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
}

/// Reads what is left of a body that nobody wants.
fn drained<P: Body>(mut body: Pin<&mut P>, left: &mut u64, cx: &mut Context<'_>) -> Poll<()> {
    while let Some(Ok(frame)) = ready!(body.as_mut().poll_frame(cx)) {
        let read = frame.data_ref().map_or(0, Buf::remaining);
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        match left.checked_sub(read) {
            Some(rest) => *left = rest,
            None => break,
        }
    }
    Poll::Ready(())
}

/// How long draining may hold up the next attempt.
const DRAIN: Duration = Duration::from_millis(25);
