use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::shared::{Listed, Shared};
use crate::{CheckFailure, Health};

/// Sees how the replicas of one [`ReplicaFailoverLayer`](crate::ReplicaFailoverLayer) do, and takes them out.
///
/// Clones are handles to the same replicas.
#[derive(Clone, Debug)]
pub struct FailoverHandle {
    shared: Arc<Shared>,
}

impl FailoverHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How every replica does that a service has been made of and that was not replaced, in the order in which they came.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ReplicaSnapshot> {
        let now = Instant::now();
        let (moment, quiet) = (self.shared.moment(now), self.shared.policy().failback_after);
        let replicas = self.shared.replicas();
        let snapshots = replicas.iter().map(|Listed { place, state, .. }| {
            let findings = state.condition.findings();
            ReplicaSnapshot {
                name: place.name.clone(),
                priority: place.priority,
                weight: place.weight,
                enabled: state.is_enabled(),
                in_flight: state.in_flight(),
                last_failure: state.last_failure().map(|failure| moment.since(failure)),
                stands_back: self.shared.fails_back() && state.stands_back(quiet, moment),
                health: findings.vitals.health(),
                skipped: state.condition.is_shunned(),
                health_since: findings.since.map(|since| moment.since(since)),
                check_failure: findings.failure,
            }
        });
        snapshots.collect()
    }

    /// Whether replicas are asked whatever their health, since too few are healthy: see
    /// [`panic_below`](crate::HealthCheck::panic_below).
    #[must_use]
    pub fn ignores_health(&self) -> bool {
        let replicas = self.shared.replicas();
        let enabled = || replicas.iter().filter(|known| known.state.is_enabled());
        let healthy = || enabled().filter(|known| !known.state.condition.is_shunned()).count();
        let check = self.shared.settings.health.as_ref();
        check.is_some_and(|check| check.panics(healthy(), enabled().count()))
    }

    /// How many times the body of a response went on at another replica.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.shared.resumes.resumed()
    }

    /// How many bodies broke off because no replica had the rest, of those that could have gone on.
    #[must_use]
    pub fn broken_off(&self) -> u64 {
        self.shared.resumes.gave_up()
    }

    /// Lets a replica have requests, or no more of them, and tells whether there is one of that name.
    ///
    /// What it has in hand it finishes.
    #[expect(
        clippy::must_use_candidate,
        reason = "who takes a replica out may not care whether it was there"
    )]
    pub fn set_enabled(&self, name: &str, enabled: bool) -> bool {
        let replicas = self.shared.replicas();
        let known = replicas.iter().find(|known| *known.place.name == *name);
        known.map(|known| known.state.enable(enabled)).is_some()
    }
}

/// How a replica does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReplicaSnapshot {
    name: Arc<str>,
    priority: u8,
    weight: NonZeroU32,
    enabled: bool,
    in_flight: usize,
    last_failure: Option<Duration>,
    stands_back: bool,
    health: Health,
    skipped: bool,
    health_since: Option<Duration>,
    check_failure: Option<CheckFailure>,
}

impl ReplicaSnapshot {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> NonZeroU32 {
        self.weight
    }

    /// Whether it is let have requests; what its breaker says is not asked.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How many requests it has in hand, to the last byte of their responses.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How long ago a request failed at it last, if ever.
    #[must_use]
    pub const fn last_failure(&self) -> Option<Duration> {
        self.last_failure
    }

    /// Whether it stands back in [`Order::Priority`](crate::Order::Priority) until it has been quiet.
    #[must_use]
    pub const fn stands_back(&self) -> bool {
        self.stands_back
    }

    /// What checks found it to be.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Whether it is skipped for its health, or for what it is taken for before its first check; but not while
    /// [health is ignored](FailoverHandle::ignores_health).
    #[must_use]
    pub const fn is_skipped(&self) -> bool {
        self.skipped
    }

    /// How long it has been so; none, if no check has told yet.
    #[must_use]
    pub const fn health_since(&self) -> Option<Duration> {
        self.health_since
    }

    /// Why the last check that failed did so, if ever one did, however it has been since.
    #[must_use]
    pub const fn check_failure(&self) -> Option<&CheckFailure> {
        self.check_failure.as_ref()
    }
}
