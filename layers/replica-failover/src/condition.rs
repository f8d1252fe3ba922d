use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::moment::Moment;
use crate::vitals::Vitals;
use crate::{CheckFailure, Health, HealthCheck, SlowStart};

/// What checks have found of a replica. Requests read only its two words, which are hints, and so relaxed.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    shunned: AtomicBool,
    /// When it began to come back: bits of a [`Moment`], zero for never.
    recovered: AtomicU64,
    findings: Mutex<Findings>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) vitals: Vitals,
    /// The last change of its health.
    pub(crate) since: Option<Moment>,
    /// Of the last check that failed.
    pub(crate) failure: Option<CheckFailure>,
    /// Whether it comes back slowly once it is healthy.
    is_cold: bool,
}

impl Condition {
    /// Takes it for unhealthy until it is checked.
    pub(crate) fn shun(&self) {
        self.shunned.store(true, Ordering::Relaxed);
    }

    /// It comes to replicas that serve already.
    pub(crate) fn arrive(&self, now: Moment) {
        self.locked().is_cold = true;
        self.recovered.store(now.bits(), Ordering::Relaxed);
    }

    /// Whether it has no requests, if its health counts.
    pub(crate) fn is_shunned(&self) -> bool {
        self.shunned.load(Ordering::Relaxed)
    }

    /// Whether a request keeps away from it since it is only just coming back, by a random number.
    pub(crate) fn holds_back(&self, slow_start: SlowStart, now: Moment, random: u64) -> bool {
        let recovered = Moment::from_bits(self.recovered.load(Ordering::Relaxed));
        recovered.is_some_and(|since| slow_start.holds_back(now.since(since), random))
    }

    /// Keeps what a check came to. What the health is now, if that is a change, and all that has been found.
    pub(crate) fn checked(
        &self,
        policy: &HealthCheck,
        result: Result<(), CheckFailure>,
        now: Moment,
    ) -> (Option<Health>, Findings) {
        let mut findings = self.locked();
        let change = findings.vitals.checked(policy, result.is_ok());
        if let Err(failure) = result {
            findings.failure = Some(failure);
        }
        if let Some(health) = change {
            let is_healthy = health == Health::Healthy;
            findings.since = Some(now);
            let comes_back = is_healthy && findings.is_cold;
            findings.is_cold = !is_healthy;
            self.recovered.store(if comes_back { now.bits() } else { 0 }, Ordering::Relaxed);
            self.shunned.store(!is_healthy, Ordering::Relaxed);
        }
        (change, findings.clone())
    }

    pub(crate) fn findings(&self) -> Findings {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Findings> {
        // Nothing panics halfway through a change.
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
