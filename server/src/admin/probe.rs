use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::plan::Plan;
use crate::replicas::ReplicaPlan;

/// Probes all replicas that are not asked for their health, again and again. A round waits for the slowest, so that probes
/// never pile up.
pub(super) async fn watch(plan: &Plan, every: Duration) {
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
