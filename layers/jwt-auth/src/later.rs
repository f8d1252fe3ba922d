//! A request that waits for something before the inner service is called.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use portcullis_refusal::EmptyBody;
use tower_service::Service;

use crate::gate::Gate;
use crate::grant::Grant;
use crate::store::Landing;
use crate::{Claims, Unauthorized, Verdict};

/// Why a request is not passed on at once.
pub(crate) enum Stop {
    Refused(Unauthorized),
    Wait(Wait),
}

/// What a request waits for.
pub(crate) enum Wait {
    /// Keys that are on their way.
    Keys(Landing),
    /// The last word on a valid token.
    Status(Claims),
}

impl From<Unauthorized> for Stop {
    fn from(reason: Unauthorized) -> Self {
        Self::Refused(reason)
    }
}

/// A request on its way to `service`, in which it holds no place until it is ready itself.
pub(crate) struct Later<S, B, R> {
    gate: Arc<Gate>,
    service: S,
    empty: R,
    request: Option<Request<B>>, // none when it has been sent
    step: Step,
    keys_waited_for: u8,
}

enum Step {
    Wait(Wait),
    Asked(Asked),
    Call,
}

/// It is never locked: the mutex lets the whole be shared between threads though the future inside cannot.
struct Asked {
    verdict: Mutex<Pin<Box<dyn Future<Output = Verdict> + Send>>>,
    claims: Claims,
}

/// Why the inner service is not called in the end.
pub(crate) enum Ended<E, ResBody> {
    Refused(Response<ResBody>),
    Failed(E),
}

/// The inner future, or why there is none.
pub(crate) type Outcome<F, E, ResBody> = Result<F, Ended<E, ResBody>>;

/// How often a request waits for keys. Who was asking when it came may have begun before its key was there, so once would
/// not be enough.
const WAITS: u8 = 2;

impl<S, B, R> Later<S, B, R> {
    /// `service` has not been polled.
    pub(crate) fn new(
        gate: Arc<Gate>,
        service: S,
        empty: R,
        request: Request<B>,
        wait: Wait,
    ) -> Self {
        let step = Step::Wait(wait);
        Self { gate, service, empty, request: Some(request), step, keys_waited_for: 0 }
    }

    pub(crate) fn poll<ResBody>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome<S::Future, S::Error, ResBody>>
    where
        S: Service<Request<B>, Response = Response<ResBody>>,
        R: EmptyBody<ResBody>,
    {
        loop {
            let next = match &mut self.step {
                Step::Wait(Wait::Keys(landing)) => {
                    ready!(landing.as_mut().poll(cx));
                    self.judge_again()
                }
                Step::Wait(Wait::Status(claims)) => {
                    let Some(request) = self.request.take() else { return Poll::Pending };
                    let (parts, body) = request.into_parts();
                    let claims = claims.clone();
                    let verdict = Mutex::new(self.gate.verdict(claims.clone(), &parts));
                    self.request = Some(Request::from_parts(parts, body));
                    Ok(Step::Asked(Asked { verdict, claims }))
                }
                Step::Asked(asked) => {
                    let verdict = ready!(asked.poll(cx));
                    let claims = asked.claims.clone();
                    self.conclude(verdict, claims)
                }
                Step::Call => {
                    ready!(self.service.poll_ready(cx)).map_err(Ended::Failed)?;
                    let Some(request) = self.request.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(self.service.call(request)));
                }
            };
            match next {
                Ok(step) => self.step = step,
                Err(reason) => {
                    let headers = self.request.as_ref().map(Request::headers);
                    let response = self.gate.refuse(reason, headers, self.empty.empty());
                    return Poll::Ready(Err(Ended::Refused(response)));
                }
            }
        }
    }

    fn judge_again(&mut self) -> Result<Step, Unauthorized> {
        self.keys_waited_for = self.keys_waited_for.saturating_add(1);
        let Some(request) = &mut self.request else { return Ok(Step::Call) };
        match self.gate.admit(request, self.keys_waited_for < WAITS) {
            Ok(()) => Ok(Step::Call),
            Err(Stop::Wait(wait)) => Ok(Step::Wait(wait)),
            Err(Stop::Refused(reason)) => Err(reason),
        }
    }

    fn conclude(&mut self, verdict: Verdict, claims: Claims) -> Result<Step, Unauthorized> {
        match (verdict, &mut self.request) {
            (Verdict::Active, Some(request)) => {
                self.gate.pass(request, Grant::Token(claims)).map(|()| Step::Call)
            }
            (Verdict::Active, None) => Ok(Step::Call),
            (Verdict::Revoked, _) => Err(Unauthorized::Revoked),
            (Verdict::Unavailable, _) => Err(Unauthorized::StatusUnavailable),
        }
    }
}

impl Asked {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let verdict = self.verdict.get_mut().unwrap_or_else(PoisonError::into_inner);
        verdict.as_mut().poll(cx)
    }
}
