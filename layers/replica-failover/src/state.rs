use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::condition::Condition;
use crate::latency::Latency;
use crate::meters::ReplicaMeters;
use crate::moment::Moment;

/// What is known of one replica, by all services of a layer.
///
/// All of it is hints, each a word of its own: nothing else is read by them, so every ordering is relaxed.
#[derive(Debug)]
pub(crate) struct ReplicaState {
    name: Arc<str>,
    enabled: AtomicBool,
    in_flight: AtomicUsize,
    latency: Latency,
    /// Bits of a [`Moment`], zero for never.
    last_failure: AtomicU64,
    /// When it was last found failing, or was last tried again: bits of a [`Moment`], zero for in its place.
    stood_back: AtomicU64,
    pub(crate) condition: Condition,
    pub(crate) meters: ReplicaMeters,
}

impl ReplicaState {
    pub(crate) fn new(name: Arc<str>, meters: ReplicaMeters) -> Self {
        Self {
            name,
            enabled: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            latency: Latency::default(),
            last_failure: AtomicU64::new(0),
            stood_back: AtomicU64::new(0),
            condition: Condition::default(),
            meters,
        }
    }

    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    pub(crate) fn enable(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) const fn latency(&self) -> &Latency {
        &self.latency
    }

    pub(crate) fn last_failure(&self) -> Option<Moment> {
        Moment::from_bits(self.last_failure.load(Ordering::Relaxed))
    }

    pub(crate) fn failed_within(&self, window: Duration, now: Moment) -> bool {
        self.last_failure().is_some_and(|failed| now.since(failed) < window)
    }

    /// A request failed that took this long.
    pub(crate) fn failed(&self, took: Duration, now: Moment) {
        // A failure that comes at once must not look like a fast replica.
        self.latency.record(took.max(PENALTY), now);
        self.last_failure.fetch_max(now.bits(), Ordering::Relaxed);
        self.stood_back.fetch_max(now.bits(), Ordering::Relaxed);
    }

    /// Whether it may come back to its place, should it answer.
    pub(crate) fn has_stood_back(&self) -> bool {
        self.stood_back.load(Ordering::Relaxed) != 0
    }

    /// A request that began at `began` was answered.
    pub(crate) fn answered(&self, began: Moment, now: Moment, quiet: Duration) {
        self.latency.record(now.since(began), now);
        // Evidence from before the failure, or from too soon after it, does not bring the replica back to its place.
        let back = self.has_stood_back()
            && self
                .last_failure()
                .is_none_or(|failed| began > failed && !within(failed, quiet, now));
        if back {
            self.stood_back.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it stands back, and nobody is to try it again yet.
    pub(crate) fn stands_back(&self, quiet: Duration, now: Moment) -> bool {
        let stood_back = Moment::from_bits(self.stood_back.load(Ordering::Relaxed));
        stood_back.is_some_and(|since| within(since, quiet, now))
    }

    /// Lets one request in each quiet time try a replica that stands back; the others are told to go elsewhere.
    pub(crate) fn may_be_tried(&self, quiet: Duration, now: impl Fn() -> Moment) -> bool {
        let since = self.stood_back.load(Ordering::Relaxed);
        match Moment::from_bits(since) {
            None => true,
            Some(moment) if within(moment, quiet, now()) => false,
            Some(_) => self
                .stood_back
                .compare_exchange(since, now().bits(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok(),
        }
    }
}

fn within(since: Moment, window: Duration, now: Moment) -> bool {
    now.since(since) < window
}

/// A request that a replica has in hand.
///
/// It counts until this is dropped: with the response future, or after the last byte of the response.
pub struct InFlight {
    state: Arc<ReplicaState>,
}

impl InFlight {
    pub(crate) fn enter(state: &Arc<ReplicaState>) -> Self {
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { state: state.clone() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.state.name).finish()
    }
}

/// What a failure counts for, at least, among response times.
const PENALTY: Duration = Duration::from_secs(5);
