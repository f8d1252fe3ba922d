//! A call that was let through, until it is recorded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::circuit::Ticket;
use crate::{Outcome, Until};

/// A circuit, and who judges its calls.
pub(crate) struct Gate<C> {
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) classifier: C,
}

impl<C> fmt::Debug for Gate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.breaker, f)
    }
}

/// Records a call: as neutral, if it is dropped before somebody knows better.
pub(crate) struct Guard<C> {
    gate: Arc<Gate<C>>,
    ticket: Option<Ticket>,
    /// When it began; none if nobody asks how long it takes.
    since: Option<Instant>,
    slow: bool,
}

impl<C> Guard<C> {
    pub(crate) fn new(gate: Arc<Gate<C>>, ticket: Ticket) -> Self {
        let since = gate.breaker.policy().slow_calls.is_some().then(Instant::now);
        Self { gate, ticket: Some(ticket), since, slow: false }
    }

    pub(crate) fn classifier(&self) -> &C {
        &self.gate.classifier
    }

    /// Whether it is recorded at the headers.
    pub(crate) fn ends_at_headers(&self) -> bool {
        self.gate.breaker.policy().recorded_at() == Until::Headers
    }

    /// Its headers are there, and it goes on.
    pub(crate) fn head(&mut self) {
        self.measure(Until::Headers);
        if let Some(ticket) = self.ticket {
            self.gate.breaker.extend(ticket);
        }
    }

    /// It is over at its headers.
    pub(crate) fn end_with_head(mut self, outcome: Outcome, headers: &HeaderMap) {
        // To where the call got: there is no waiting for the rest.
        self.measure(Until::Headers);
        self.measure(Until::LastByte);
        let retry_after = if outcome == Outcome::Failure { retry_after(headers) } else { None };
        self.record(outcome, retry_after);
    }

    /// It is over.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.measure(Until::LastByte);
        self.record(outcome, None);
    }

    /// It is over without headers.
    pub(crate) fn end_without_head(mut self, outcome: Outcome) {
        self.measure(Until::Headers);
        self.measure(Until::LastByte);
        self.record(outcome, None);
    }

    fn measure(&mut self, at: Until) {
        let slow_calls = self.gate.breaker.policy().slow_calls.as_ref();
        if let (Some(slow_calls), Some(since)) = (slow_calls, self.since) {
            if slow_calls.until == at {
                self.slow = since.elapsed() >= slow_calls.threshold;
            }
        }
    }

    fn record(&mut self, outcome: Outcome, retry_after: Option<Duration>) {
        if let Some(ticket) = self.ticket.take() {
            self.gate.breaker.record(ticket, outcome, self.slow, retry_after);
        }
    }
}

impl<C> Drop for Guard<C> {
    fn drop(&mut self) {
        self.record(Outcome::Neutral, None);
    }
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// RFC 9110 §10.2.3, in seconds: a date would need a clock that can be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
