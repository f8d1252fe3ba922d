//! What a service has to know between being ready and being called.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::sleep;

use crate::circuit::{Shut, Ticket};
use crate::guard::{Gate, Guard};
use crate::{Open, Outcome};

/// What a service does that cannot let a call through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WhenOpen {
    Refuse,
    Wait,
}

/// Asks the circuit when a service is polled ready, and keeps the answer for the call.
pub(crate) struct Readiness<C> {
    gate: Arc<Gate<C>>,
    when_open: WhenOpen,
    answer: Option<Result<Ticket, Shut>>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl<C> Readiness<C> {
    pub(crate) const fn new(gate: Arc<Gate<C>>, when_open: WhenOpen) -> Self {
        Self { gate, when_open, answer: None, waiting: None }
    }

    pub(crate) fn classifier(&self) -> &C {
        &self.gate.classifier
    }

    /// Ready with whether the inner service has to be, too.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Some(Ok(ticket)) = self.answer {
            if self.gate.breaker.is_current(ticket) {
                return Poll::Ready(true);
            }
            // What it was let in for is over; there is no place to give back.
            self.answer = None;
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                if waiting.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.gate.breaker.admit() {
                // Most are let through, and are not moved with what could be said to the others.
                Ok(ticket) => self.answer = Some(Ok(ticket)),
                Err(shut) if self.when_open == WhenOpen::Refuse => self.answer = Some(Err(shut)),
                Err(_) => {
                    // Listening comes before looking, so as not to miss the change.
                    let change = self.gate.breaker.changed_from_now();
                    match self.gate.breaker.admit() {
                        Ok(ticket) => self.answer = Some(Ok(ticket)),
                        Err(shut) => {
                            self.waiting = Some(Box::pin(wait(change, shut.wake)));
                            continue;
                        }
                    }
                }
            }
            return Poll::Ready(matches!(self.answer, Some(Ok(_))));
        }
    }

    /// Lets the call through that follows, or says why not.
    pub(crate) fn take(&mut self) -> Result<Guard<C>, Open> {
        let breaker = &self.gate.breaker;
        let answer = match &self.answer {
            Some(Ok(ticket)) if breaker.is_current(*ticket) => Ok(*ticket),
            Some(Err(shut)) => Err(shut.wait),
            Some(Ok(_)) | None => breaker.admit().map_err(|shut| shut.wait),
        };
        self.answer = None;
        match answer {
            Ok(ticket) => Ok(Guard::new(self.gate.clone(), ticket)),
            Err(wait) => {
                breaker.reject();
                Err(Open::new(wait))
            }
        }
    }

    /// The inner service will never be ready.
    pub(crate) fn fail(&mut self, outcome: Outcome) {
        if let Some(Ok(ticket)) = self.answer.take() {
            self.gate.breaker.record(ticket, outcome, false, None, None);
        }
    }
}

/// Completes at the next change, or after so many milliseconds.
async fn wait(change: OwnedNotified, wake: Option<u64>) {
    let mut change = pin!(change);
    let Some(wake) = wake else { return change.await };
    let mut time = pin!(sleep(Duration::from_millis(wake)));
    std::future::poll_fn(|cx| {
        if change.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { time.as_mut().poll(cx) }
    })
    .await;
}

/// Another service has to ask for itself.
impl<C> Clone for Readiness<C> {
    fn clone(&self) -> Self {
        Self::new(self.gate.clone(), self.when_open)
    }
}

/// A place that nobody used is given back.
impl<C> Drop for Readiness<C> {
    fn drop(&mut self) {
        if let Some(Ok(ticket)) = self.answer.take() {
            self.gate.breaker.give_back(ticket);
        }
    }
}

impl<C> fmt::Debug for Readiness<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("gate", &self.gate)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}
