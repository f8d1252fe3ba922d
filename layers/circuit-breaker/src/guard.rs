//! A call that was let through, until it is recorded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::{HeaderMap, RETRY_AFTER};
use http_body::Body;
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::circuit::Ticket;
use crate::{Classify, Outcome, Until, Verdict};

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

    /// What it is if its body ends well.
    pub(crate) fn ended_with(&self, verdict: Verdict, trailers: Option<&HeaderMap>) -> Outcome
    where
        C: Classify,
    {
        match verdict {
            Verdict::Known(outcome) => outcome,
            Verdict::UpToTrailers => self.gate.classifier.trailers(trailers),
        }
    }

    /// Its headers are there; whether it goes on until the end of the body.
    pub(crate) fn answered<B: Body>(&mut self, verdict: Verdict, response: &Response<B>) -> bool
    where
        C: Classify,
    {
        if !verdict.is_up_to_the_body() || self.ends_at_headers() {
            self.end_with_head(verdict.at_headers(), response.headers());
            return false;
        }
        self.head();
        // Whoever is told that nothing comes may never poll.
        let is_over = response.body().is_end_stream();
        if is_over {
            self.end(self.ended_with(verdict, None));
        }
        !is_over
    }

    /// Whether it is recorded at the headers.
    fn ends_at_headers(&self) -> bool {
        self.gate.breaker.policy().recorded_at() == Until::Headers
    }

    /// Its headers are there, and it goes on.
    fn head(&mut self) {
        self.measure(Until::Headers);
        if let Some(ticket) = self.ticket {
            self.gate.breaker.extend(ticket);
        }
    }

    /// It is over at its headers.
    fn end_with_head(&mut self, outcome: Outcome, headers: &HeaderMap) {
        let ended = self.measure_what_there_was();
        let retry_after = if outcome == Outcome::Failure { retry_after(headers) } else { None };
        self.record(outcome, retry_after, ended);
    }

    /// It is over.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        let ended = self.measure(Until::LastByte);
        self.record(outcome, None, ended);
    }

    /// It is over without headers.
    pub(crate) fn end_without_head(&mut self, outcome: Outcome) {
        let ended = self.measure_what_there_was();
        self.record(outcome, None, ended);
    }

    /// Sees whether it is slow, if it is measured to this point; then says what time it is, too.
    fn measure(&mut self, at: Until) -> Option<Instant> {
        let slow_calls = self.gate.breaker.policy().slow_calls.as_ref()?;
        if slow_calls.until != at {
            return None;
        }
        let now = Instant::now();
        self.slow = now.saturating_duration_since(self.since?) >= slow_calls.threshold;
        Some(now)
    }

    /// To where it got, whatever it was to be measured to: nobody waits for the rest.
    fn measure_what_there_was(&mut self) -> Option<Instant> {
        self.measure(Until::Headers).or_else(|| self.measure(Until::LastByte))
    }

    /// Once, now or at a time that is known.
    fn record(&mut self, outcome: Outcome, retry_after: Option<Duration>, ended: Option<Instant>) {
        if let Some(ticket) = self.ticket.take() {
            self.gate.breaker.record(ticket, outcome, self.slow, retry_after, ended);
        }
    }
}

impl<C> Drop for Guard<C> {
    fn drop(&mut self) {
        self.record(Outcome::Neutral, None, None);
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
