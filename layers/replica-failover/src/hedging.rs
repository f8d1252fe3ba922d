//! When a request is sent to a second replica while it waits for the first, and what comes of that.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use tower_service::Service;

use crate::meters::{HedgeMeters, HedgeOutcome};
use crate::moment::Moment;
use crate::race::{Entry, Race};
use crate::recent::Recent;
use crate::shared::Shared;
use crate::trip::Trip;
use crate::{Classify, Hedge, ReplayBody};

/// What all services of a layer know of hedges.
#[derive(Debug)]
pub(crate) struct Hedging {
    policy: Hedge,
    /// None where the wait is always the same.
    recent: Option<Recent>,
    meters: HedgeMeters,
}

impl Hedging {
    pub(crate) fn new(policy: Hedge, meters: HedgeMeters) -> Self {
        Self { policy, recent: policy.percentile.map(|_| Recent::new()), meters }
    }

    /// How many times one request may be hedged.
    pub(crate) const fn most(&self) -> u32 {
        self.policy.max.get()
    }

    /// A request that could be hedged took so long, or longer.
    pub(crate) fn record(&self, took: Duration, now: Moment) {
        if let Some(recent) = &self.recent {
            recent.record(took, now);
        }
    }

    /// How long a request waits for a replica before it is hedged; none, if that is not known yet.
    fn delay(&self, now: Moment) -> Option<Duration> {
        let Hedge { after, percentile, samples, .. } = self.policy;
        match (percentile, &self.recent) {
            (Some(percent), Some(recent)) => {
                Some(recent.percentile(percent, samples.get(), now)?.max(after))
            }
            _ => Some(after),
        }
    }
}

/// A hedge under way: counted as cancelled, unless something comes of it.
pub(crate) struct Hedged {
    shared: Arc<Shared>,
    outcome: HedgeOutcome,
}

impl Hedged {
    const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, outcome: HedgeOutcome::Cancelled }
    }

    pub(crate) const fn won(&mut self) {
        self.outcome = HedgeOutcome::Won;
    }

    pub(crate) const fn failed(&mut self) {
        self.outcome = HedgeOutcome::Failed;
    }
}

impl Drop for Hedged {
    fn drop(&mut self) {
        count(&self.shared, self.outcome);
    }
}

impl<S, B, C, R> Trip<S, B, C, R> {
    /// What attempts run in from now on, if they may be hedged.
    pub(crate) fn race<F>(&self) -> Option<Race<F>> {
        self.hedges.map(|_| Race::new(self.hedge_due(Instant::now())))
    }

    /// Keeps what has come of an attempt among others: what comes next is the request's answer, or not.
    pub(crate) fn settled(&self, mut entry: Entry, is_answer: bool) {
        let is_its = is_answer && self.served_by == Some(entry.index);
        match &mut entry.hedge {
            Some(hedge) if is_its => hedge.won(),
            Some(hedge) => hedge.failed(),
            None if is_its => self.measure(&entry, Instant::now()),
            None => {}
        }
    }

    /// Keeps how long a first attempt took to have an answer, or not to have one.
    pub(crate) fn measure(&self, entry: &Entry, now: Instant) {
        let hedging = self.set.shared.hedging.as_ref().filter(|_| self.hedges.is_some());
        if let (Some(hedging), None) = (hedging, &entry.hedge) {
            let took = now.saturating_duration_since(entry.began);
            hedging.record(took, self.set.shared.moment(now));
        }
    }

    /// Others answered before these, which took at least until now.
    pub(crate) fn beaten<F>(&self, race: &Race<F>) {
        let now = Instant::now();
        for entry in race.entries() {
            self.measure(entry, now);
            if let Some(state) = self.state(entry.index) {
                let took = now.saturating_duration_since(entry.began);
                state.latency().record_at_least(took, self.set.shared.moment(now));
            }
        }
    }

    fn hedge_due(&self, now: Instant) -> Option<Instant> {
        let hedging = self.set.shared.hedging.as_ref()?;
        self.hedges.filter(|left| *left > 0)?;
        now.checked_add(hedging.delay(self.set.shared.moment(now))?)
    }
}

/// Sends the request to one more replica, if there is one to be had at once.
pub(crate) fn hedge<S, B, C, R>(
    trip: &mut Trip<S, B, C, R>,
    race: &mut Race<S::Future>,
    cx: &mut Context<'_>,
) where
    S: Service<Request<ReplayBody<B>>> + Clone,
    C: Classify<S::Error>,
{
    let now = Instant::now();
    trip.hedges = trip.hedges.map(|left| left.saturating_sub(1));
    race.due = trip.hedge_due(now);
    let shared = trip.set.shared.clone();
    let mut asked: Vec<_> = race.entries().map(|entry| entry.index).collect();
    while trip.can_be_sent() {
        let next = trip.beside(&asked, now);
        let Some((index, mut service)) = next.and_then(|index| Some((index, trip.service(index)?)))
        else {
            return count(&shared, HedgeOutcome::NoReplica);
        };
        asked.push(index);
        match service.poll_ready(cx) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => trip.unready_aside(index, &error, now),
            Poll::Ready(Ok(())) if !shared.budget.withdraw(shared.moment(now)) => {
                return count(&shared, HedgeOutcome::NoBudget);
            }
            Poll::Ready(Ok(())) => {
                trip.tell_of_hedge(index);
                let in_flight = trip.enter(index);
                let request = trip.send(now);
                let hedge = Some(Hedged::new(shared));
                let reader = trip.replay.last_reader();
                let entry = Entry { index, began: now, in_flight, reader, hedge };
                return race.enter(entry, service.call(request));
            }
        }
    }
}

fn count(shared: &Shared, outcome: HedgeOutcome) {
    if let Some(hedging) = &shared.hedging {
        hedging.meters.count(outcome);
    }
}
