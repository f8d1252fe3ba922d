use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use crate::course::Go;
use crate::future::over;
use crate::rest::Rest;
use crate::{Classify, InFlight};

pin_project! {
    /// The way to the rest of a response.
    pub(crate) struct Resuming<S, F, C> {
        #[pin]
        step: Step<S, F>,
        // When the step began.
        began: Option<Instant>,
        #[pin]
        timer: Option<Sleep>,
        rest: Rest<S, C>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<S, F> {
        Choose,
        Wait { go: Go },
        Ready { service: S, go: Go },
        Call { #[pin] response: F, index: usize, in_flight: Option<InFlight> },
    }
}

impl<S, F, C> Resuming<S, F, C> {
    pub(crate) const fn new(rest: Rest<S, C>) -> Self {
        Self { step: Step::Choose, began: None, timer: None, rest }
    }

    pub(crate) const fn left(&self) -> u64 {
        self.rest.left()
    }

    pub(crate) fn rest(self: Pin<&mut Self>) -> &mut Rest<S, C> {
        self.project().rest
    }

    /// The body that goes on where the last one broke off; none, if there is none.
    pub(crate) fn poll_body<Q, P: Body>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(P, Option<InFlight>)>>
    where
        S: Service<Request<crate::ReplayBody<Q>>, Response = Response<P>, Future = F> + Clone,
        F: Future<Output = Result<Response<P>, S::Error>>,
        C: Classify<S::Error>,
    {
        let mut this = self.project();
        let (rest, mut timer) = (this.rest, this.timer);
        loop {
            let began = *this.began.get_or_insert_with(Instant::now);
            let go = match this.step.as_mut().project() {
                StepProj::Choose => match rest.next(began) {
                    None => return Poll::Ready(None),
                    go => go,
                },
                StepProj::Wait { go } => {
                    ready!(over(timer.as_mut(), go.at, cx));
                    Some(Go { at: None, ..*go })
                }
                StepProj::Ready { service, go } => match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let (request, in_flight) = rest.send(go.index);
                        let (response, index) = (service.call(request), go.index);
                        this.step.set(Step::Call { response, index, in_flight });
                        timer.set(None);
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        rest.unready(go.index, &error);
                        None
                    }
                    Poll::Pending if !go.patient => {
                        rest.busy(go.index);
                        None
                    }
                    Poll::Pending => {
                        ready!(over(timer.as_mut(), rest.limit_of_readiness(began), cx));
                        rest.never_ready(go.index);
                        None
                    }
                },
                StepProj::Call { response, index, in_flight } => match response.poll(cx) {
                    Poll::Ready(said) => {
                        let (body, in_flight) =
                            (rest.answered(*index, began, said), in_flight.take());
                        if let Some(body) = body {
                            this.step.set(Step::Choose);
                            timer.set(None);
                            *this.began = None;
                            return Poll::Ready(Some((body, in_flight)));
                        }
                        None
                    }
                    Poll::Pending => {
                        ready!(over(timer.as_mut(), rest.limit_of_attempt(began), cx));
                        rest.timed_out(*index);
                        None
                    }
                },
            };
            timer.set(None);
            *this.began = None;
            this.step.set(match go {
                None => Step::Choose,
                Some(go) if go.at.is_some() => Step::Wait { go },
                Some(go) => match rest.service(go.index) {
                    Some(service) => Step::Ready { service, go },
                    None => Step::Choose,
                },
            });
        }
    }
}
