use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::plan::Plan;
use crate::reload::Current;
use crate::replicas::ReplicaPlan;

/// Probes the replicas of the plan that is in use.
pub(super) async fn watch(mut changes: watch::Receiver<Arc<Current>>) {
    loop {
        let current = changes.borrow_and_update().clone();
        let Some(section) = &current.plan.config.admin else { return };
        tokio::select! {
            () = rounds(&current.plan, section.probe_interval) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Probes all replicas that are not asked for their health, again and again. A round waits for the slowest, so that probes
/// never pile up.
async fn rounds(plan: &Plan, every: Duration) {
    let mut every = interval(every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let mut round = JoinSet::new();
        for upstream in plan.upstreams.values().filter(|upstream| !upstream.is_checked) {
            for replica in upstream.replicas.current().iter() {
                round.spawn(probe(replica.clone()));
            }
        }
        round.join_all().await;
    }
}

async fn probe(replica: ReplicaPlan) {
    let error = replica.connect.tcp(&replica.timeouts).await.err();
    let up = error.is_none();
    replica.connect.meters().up(up);
    if replica.probed.found(up) {
        let error = error.map(tracing::field::display);
        let replica = replica.target.name();
        tracing::info!(replica = &*replica, up, error, "replica probed");
    }
}
