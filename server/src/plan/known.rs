use std::sync::Arc;

use portcullis_circuit_breaker::CircuitBreakerLayer;
use portcullis_replica_failover::ReplicaFailoverLayer;

use crate::config::{Replica, Upstream};
use crate::replicas::ReplicaPlan;
use crate::upstream::ByFault;

use super::UpstreamPlan;
use super::origin::Origin;
use super::upstreams::{Sections, circuit, large};

/// What is known of an upstream of this name whose section was another.
#[derive(Default)]
pub(super) struct Known<'p> {
    plan: Option<&'p UpstreamPlan>,
    replicas: Arc<[ReplicaPlan]>,
    /// Whether all that its replicas have in common is the same.
    in_common: bool,
}

impl<'p> Known<'p> {
    pub(super) fn new(before: Option<&'p Arc<UpstreamPlan>>, (now, signed_by): &Sections) -> Self {
        let Some(plan) = before else { return Self::default() };
        // How many there are makes a difference to each, and so does what is kept of requests for others.
        let common = |upstream: &Upstream| {
            let (several, large) = (upstream.has_several(), large(upstream));
            (several, large, Upstream { replicas: None, failover: None, ..upstream.clone() })
        };
        let in_common = plan.origin.is_alike(|(before, then_signed_by)| {
            common(before) == common(now) && then_signed_by == signed_by
        });
        Self { plan: Some(plan), replicas: plan.replicas.current(), in_common }
    }

    /// The origin of what is made now: what is kept is still of the files of before.
    pub(super) fn and(&self, origin: Origin<Sections>) -> Origin<Sections> {
        match self.plan.filter(|_| self.in_common) {
            Some(plan) => origin.and(&plan.origin),
            None => origin,
        }
    }

    /// The replica that is described just so.
    pub(super) fn replica(&self, section: &Replica) -> Option<&ReplicaPlan> {
        let before = self.listed(section)?;
        let known = self.replicas.iter().filter(|_| self.in_common && before == section);
        known.into_iter().find(|known| is_named(known, section))
    }

    /// The circuit of a replica at the same place, if it is judged as before.
    pub(super) fn breaker(
        &self,
        now: &Upstream,
        section: &Replica,
    ) -> Option<CircuitBreakerLayer<ByFault>> {
        let (before, _) = self.plan?.origin.sections();
        let same = is_same(self.listed(section)?, section) && circuit(before) == circuit(now);
        let mut known = self.replicas.iter().filter(|_| same);
        known.find(|known| is_named(known, section)).map(|known| known.breaker.clone())
    }

    /// What is known of all replicas together, if they are the same.
    pub(super) fn failover(&self, now: &Upstream) -> Option<ReplicaFailoverLayer<ByFault>> {
        let plan = self.plan?;
        let (before, _) = plan.origin.sections();
        let pairs = || before.listed().iter().zip(now.listed());
        let same = before.failover == now.failover
            && before.health_check == now.health_check
            && before.discover == now.discover
            && before.listed().len() == now.listed().len()
            && pairs().all(|(before, now)| is_same(before, now));
        same.then(|| plan.failover.clone())
    }

    /// Those that were discovered, if they are looked up as before.
    pub(super) fn discovered(&self, now: &Upstream) -> Arc<[ReplicaPlan]> {
        let before = self.plan.map(|plan| plan.origin.sections());
        let same = before.is_some_and(|(before, _)| before.discover == now.discover);
        if same { self.replicas.clone() } else { Arc::default() }
    }

    /// What the section of a replica of this name was.
    fn listed(&self, section: &Replica) -> Option<&'p Replica> {
        let (before, _) = self.plan?.origin.sections();
        before.listed().iter().find(|before| before.name == section.name)
    }
}

fn is_named(known: &ReplicaPlan, section: &Replica) -> bool {
    *known.target.name() == **section.name.get_ref()
}

/// Whether two sections mean the same server.
fn is_same(one: &Replica, other: &Replica) -> bool {
    one.name == other.name && one.url == other.url
}
