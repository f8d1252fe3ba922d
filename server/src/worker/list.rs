use std::sync::Arc;

use portcullis_replica_failover::{self as failover, ReplicaFailover, Replicas};
use tokio::sync::watch;
use tower::Layer;

use crate::plan::UpstreamPlan;
use crate::replicas::ReplicaPlan;
use crate::seam::Replica;
use crate::stack;
use crate::upstream::ByFault;

/// The replicas of one upstream as one worker has them, with pools of its own.
#[derive(Debug)]
pub struct List {
    current: watch::Receiver<Arc<[ReplicaPlan]>>,
    served: Vec<Served>,
    replicas: Replicas<Replica>,
}

#[derive(Clone, Debug)]
struct Served {
    plan: ReplicaPlan,
    replica: failover::Replica<Replica>,
}

impl Served {
    fn new(plan: &ReplicaPlan) -> Self {
        let replica = plan.described.clone().served_by(stack::replica(plan));
        Self { plan: plan.clone(), replica }
    }
}

impl List {
    /// The service over the replicas of an upstream, and the list to keep up to date.
    pub(super) fn of(upstream: &UpstreamPlan) -> (ReplicaFailover<Replica, ByFault>, Self) {
        let mut current = upstream.replicas.subscribe();
        let served: Vec<_> = current.borrow_and_update().iter().map(Served::new).collect();
        let service = upstream.failover.layer(list(&served));
        let replicas = service.replicas();
        (service, Self { current, served, replicas })
    }

    /// Follows what is discovered, for as long as it is polled. Those that stay keep their connections.
    pub async fn follow(mut self) {
        while self.current.changed().await.is_ok() {
            let now = self.current.borrow_and_update().clone();
            let serve = |plan: &ReplicaPlan| {
                let is_same = |known: &&Served| Arc::ptr_eq(&known.plan.target, &plan.target);
                self.served.iter().find(is_same).cloned().unwrap_or_else(|| Served::new(plan))
            };
            self.served = now.iter().map(serve).collect();
            self.replicas.replace(list(&self.served));
        }
    }
}

fn list(served: &[Served]) -> Vec<failover::Replica<Replica>> {
    served.iter().map(|one| one.replica.clone()).collect()
}
