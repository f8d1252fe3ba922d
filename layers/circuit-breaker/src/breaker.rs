//! A circuit in the world: with a name, the clock, chance, and those who want to know.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::circuit::{Circuit, Recorded, Shut, Ticket, World};
use crate::meters::Meters;
use crate::sync::{AtomicU64, Ordering};
use crate::transition::Change;
use crate::{CircuitBreakerPolicy, CircuitState, Outcome, Snapshot, Transition};

pub(crate) struct Breaker {
    name: Arc<str>,
    circuit: Circuit,
    born: Instant,
    seed: AtomicU64,
    rejected: AtomicU64,
    stale: AtomicU64,
    /// Wakes who waits for it to change or to have room.
    changes: Arc<Notify>,
    transitions: OnceLock<broadcast::Sender<Transition>>,
    meters: Meters,
}

impl Breaker {
    pub(crate) fn new(name: Arc<str>, policy: CircuitBreakerPolicy, meters: Meters) -> Self {
        let breaker = Self {
            name,
            circuit: Circuit::new(policy),
            born: Instant::now(),
            seed: AtomicU64::new(RandomState::new().build_hasher().finish()),
            rejected: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            changes: Arc::default(),
            transitions: OnceLock::new(),
            meters,
        };
        breaker.meters.state(|| breaker.circuit.standing().state);
        breaker
    }

    pub(crate) const fn policy(&self) -> &CircuitBreakerPolicy {
        self.circuit.policy()
    }

    pub(crate) fn admit(&self) -> Result<Ticket, Shut> {
        self.circuit.admit(self)
    }

    pub(crate) fn admits(&self) -> bool {
        self.circuit.admits(self)
    }

    pub(crate) fn admits_in(&self) -> Option<u64> {
        self.circuit.admits_in(self)
    }

    pub(crate) fn is_current(&self, ticket: Ticket) -> bool {
        self.circuit.is_current(ticket)
    }

    pub(crate) fn extend(&self, ticket: Ticket) {
        self.circuit.extend(ticket, self);
    }

    /// Counts what came of a call that ended now, or at a time that somebody has looked up already.
    pub(crate) fn record(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        slow: bool,
        retry_after: Option<Duration>,
        ended: Option<Instant>,
    ) {
        let world = Then { breaker: self, now: ended };
        match self.circuit.record(ticket, outcome, slow, retry_after, &world) {
            Recorded::Counted => self.meters.ended(outcome),
            Recorded::Stale => {
                self.stale.fetch_add(1, Ordering::Relaxed);
                self.meters.stale();
            }
            Recorded::Uncounted => {}
        }
    }

    /// Gives the place of a call back that was never made.
    pub(crate) fn give_back(&self, ticket: Ticket) {
        self.circuit.record(ticket, Outcome::Neutral, false, None, self);
    }

    /// Counts a call that was not let through.
    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.meters.rejected();
    }

    pub(crate) fn force(&self, state: CircuitState) {
        self.circuit.force(state, self);
    }

    /// Completes at the next change, from now on.
    pub(crate) fn changed_from_now(&self) -> OwnedNotified {
        self.changes.clone().notified_owned()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.transitions.get_or_init(|| broadcast::Sender::new(REMEMBERED)).subscribe()
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.circuit.settle(self).0.state
    }

    /// Whether it is in the state it began in, and would be anew.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.circuit.standing().state == self.policy().mode.state()
    }

    fn millis_at(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        age.as_secs().saturating_mul(1000).saturating_add(age.subsec_millis().into())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (standing, left) = self.circuit.settle(self);
        let snapshot = Snapshot {
            standing,
            left: left.map(Duration::from_millis),
            totals: self.circuit.totals(self.now()),
            failures_in_a_row: self.circuit.failures_in_a_row(),
            rejected: self.rejected.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
        };
        self.meters.rates(&snapshot);
        snapshot
    }
}

impl World for Breaker {
    fn now(&self) -> u64 {
        self.millis_at(Instant::now())
    }

    fn random(&self) -> u64 {
        // SplitMix64: a counter, well stirred.
        let mut bits = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn changed(&self, change: Change) {
        let Change { from, to, cause } = change;
        let (circuit, from, to, cause) = (&*self.name, from.name(), to.name(), cause.name());
        match change.to {
            CircuitState::Open | CircuitState::ForcedOpen | CircuitState::MetricsOnly => {
                tracing::warn!(circuit, from, to, cause, "circuit changed");
            }
            _ => tracing::info!(circuit, from, to, cause, "circuit changed"),
        }
        self.meters.transition(&self.name, change);
        self.meters.state(|| self.circuit.standing().state);
        if let Some(transitions) = self.transitions.get() {
            let _ = transitions.send(Transition::new(change, Instant::now())); // nobody may listen
        }
        self.changes.notify_waiters();
    }

    fn freed(&self) {
        self.changes.notify_waiters();
    }
}

/// The world at a time that is known, or now: to look at the clock costs as much as all else about a call.
struct Then<'a> {
    breaker: &'a Breaker,
    now: Option<Instant>,
}

impl World for Then<'_> {
    fn now(&self) -> u64 {
        self.now.map_or_else(|| self.breaker.now(), |now| self.breaker.millis_at(now))
    }

    fn random(&self) -> u64 {
        self.breaker.random()
    }

    fn changed(&self, change: Change) {
        self.breaker.changed(change);
    }

    fn freed(&self) {
        self.breaker.freed();
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("name", &self.name)
            .field("standing", &self.circuit.standing())
            .finish_non_exhaustive()
    }
}

/// How many transitions a subscriber may be behind.
const REMEMBERED: usize = 64;
