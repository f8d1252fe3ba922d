use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::checks::Check;
use crate::health_meters::HealthMeters;
use crate::random::random;
use crate::shared::{Listed, Shared};
use crate::state::ReplicaState;
use crate::{CheckFailure, Health, HealthCheck};

/// Checks the replicas of a layer, for as long as it is polled: hand it to `tokio::spawn`.
///
/// Each replica is first checked after a random part of the fast interval, and is never asked twice at a time. The future
/// ends when the layer, its services and its handles are gone, or at once if the layer has no [`HealthCheck`]. Dropped
/// before, it leaves the replicas' health as it was last found. One for each layer is enough.
///
/// # Panics
///
/// When polled outside of a Tokio runtime with its timer enabled.
#[must_use = "futures do nothing unless polled"]
pub struct HealthChecker(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>); // never locked; it makes this `Sync`

impl HealthChecker {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let (changes, shared) = (shared.changes(), Arc::downgrade(shared));
        Self(Mutex::new(Box::pin(keep(shared, changes))))
    }
}

impl Future for HealthChecker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl fmt::Debug for HealthChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthChecker")
    }
}

/// The checks of one replica, which never end.
struct Running {
    state: Arc<ReplicaState>,
    check: Check,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

async fn keep(shared: Weak<Shared>, mut changes: watch::Receiver<()>) {
    let mut running = Vec::new();
    loop {
        changes.mark_unchanged();
        {
            // While it waits it does not hold what it waits for the end of.
            let Some(shared) = shared.upgrade() else { return };
            let Some(policy) = shared.settings.health.clone() else { return };
            follow(&mut running, &shared, &policy);
        }
        let mut changed = pin!(changes.changed());
        let change = poll_fn(|cx| {
            for one in &mut running {
                let _endless = one.future.as_mut().poll(cx);
            }
            changed.as_mut().poll(cx)
        });
        if change.await.is_err() {
            return;
        }
    }
}

/// Ends the checks of replicas that are gone, and begins those of new ones.
fn follow(running: &mut Vec<Running>, shared: &Arc<Shared>, policy: &Arc<HealthCheck>) {
    let mut before = mem::take(running);
    for Listed { place, state, .. } in shared.replicas().iter() {
        let Some(check) = place.checks.of(policy) else { continue };
        let is_same =
            |one: &Running| Arc::ptr_eq(&one.state, state) && Arc::ptr_eq(&one.check, check);
        running.push(match before.iter().position(is_same) {
            Some(index) => before.swap_remove(index),
            None => begin(shared, policy, state, check),
        });
    }
}

fn begin(
    shared: &Arc<Shared>,
    policy: &Arc<HealthCheck>,
    state: &Arc<ReplicaState>,
    check: &Check,
) -> Running {
    let watch = Watch {
        shared: Arc::downgrade(shared),
        policy: policy.clone(),
        state: state.clone(),
        check: check.clone(),
        meters: HealthMeters::new(&shared.settings.name, state.name()),
    };
    Running { state: state.clone(), check: check.clone(), future: Box::pin(watch.run()) }
}

struct Watch {
    shared: Weak<Shared>,
    policy: Arc<HealthCheck>,
    state: Arc<ReplicaState>,
    check: Check,
    meters: HealthMeters,
}

impl Watch {
    async fn run(self) {
        self.meters.is(!self.state.condition.is_shunned());
        sleep(self.policy.first_wait(random())).await;
        loop {
            let began = Instant::now();
            let limit = self.policy.time_limit;
            let result = timeout(limit, (self.check)(&self.policy)).await;
            let result = result.unwrap_or(Err(CheckFailure::TimedOut));
            // The end of the layer ends this from outside.
            let Some(shared) = self.shared.upgrade() else { return pending().await };
            let wait = self.learn(&shared, result);
            drop(shared);
            sleep(wait.saturating_sub(began.elapsed())).await;
        }
    }

    /// Keeps the result and tells of a change; the time to the next check.
    fn learn(&self, shared: &Shared, result: Result<(), CheckFailure>) -> Duration {
        self.meters.checked(&result);
        let now = shared.moment(Instant::now());
        let (change, findings) = self.state.condition.checked(&self.policy, result, now);
        let (upstream, replica) = (&*shared.settings.name, &**self.state.name());
        match (change, findings.failure) {
            (Some(Health::Unhealthy), Some(reason)) => {
                self.meters.is(false);
                tracing::warn!(upstream, replica, %reason, "replica unhealthy");
            }
            (Some(_), _) => {
                self.meters.is(true);
                tracing::info!(upstream, replica, "replica healthy");
            }
            (None, _) => {}
        }
        findings.vitals.wait(&self.policy, random())
    }
}
