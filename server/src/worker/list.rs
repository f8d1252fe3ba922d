use std::sync::{Arc, Mutex, PoisonError};

use portcullis_replica_failover::{self as failover, ReplicaFailover, Replicas};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tower::Layer;

use crate::plan::UpstreamPlan;
use crate::replicas::ReplicaPlan;
use crate::seam::Replica;
use crate::stack;
use crate::upstream::ByFault;

/// The replicas of one upstream as one worker has them, with pools of its own. It follows what is discovered until it is
/// dropped.
#[derive(Debug)]
pub(super) struct List {
    plan: Arc<UpstreamPlan>,
    service: ReplicaFailover<Replica, ByFault>,
    served: Arc<Mutex<Vec<Served>>>,
    task: AbortHandle,
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
    /// Serves the replicas of an upstream; those that were served `before` keep their connections.
    pub(super) fn of(upstream: &Arc<UpstreamPlan>, before: Option<&Self>) -> Self {
        let mut current = upstream.replicas.subscribe();
        let known = before.map(Self::served).unwrap_or_default();
        let now: Vec<_> = serve(&current.borrow_and_update(), &known);
        let service = upstream.failover.layer(list(&now));
        let replicas = service.replicas();
        let served = Arc::new(Mutex::new(now));
        let task = tokio::spawn(follow(current, served.clone(), replicas)).abort_handle();
        Self { plan: upstream.clone(), service, served, task }
    }

    /// Whether it is of this plan.
    pub(super) fn is_of(&self, upstream: &Arc<UpstreamPlan>) -> bool {
        Arc::ptr_eq(&self.plan, upstream)
    }

    /// The service over the replicas.
    pub(super) fn service(&self) -> ReplicaFailover<Replica, ByFault> {
        self.service.clone()
    }

    fn served(&self) -> Vec<Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows what is discovered. Those that stay keep their connections.
async fn follow(
    mut current: watch::Receiver<Arc<[ReplicaPlan]>>,
    served: Arc<Mutex<Vec<Served>>>,
    replicas: Replicas<Replica>,
) {
    while current.changed().await.is_ok() {
        let plans = current.borrow_and_update().clone();
        let now = {
            let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
            *served = serve(&plans, &served);
            list(&served)
        };
        replicas.replace(now);
    }
}

fn serve(plans: &[ReplicaPlan], known: &[Served]) -> Vec<Served> {
    let one = |plan: &ReplicaPlan| {
        let is_same = |known: &&Served| Arc::ptr_eq(&known.plan.target, &plan.target);
        known.iter().find(is_same).cloned().unwrap_or_else(|| Served::new(plan))
    };
    plans.iter().map(one).collect()
}

fn list(served: &[Served]) -> Vec<failover::Replica<Replica>> {
    served.iter().map(|one| one.replica.clone()).collect()
}
