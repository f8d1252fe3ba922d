use std::sync::Arc;

use tokio::task::{AbortHandle, JoinHandle};

use crate::listener::{ListenerTls, Terms};
use crate::plan::{IssuerPlan, Plan, UpstreamPlan};

/// What goes on in the background for as long as a plan has what it is for, where neither load nor limits can starve it:
/// keys of issuers, the health and the list of replicas, and certificates are kept up to date, so that workers only read
/// them.
#[derive(Debug, Default)]
pub(super) struct Keepers(Vec<Keeper>);

#[derive(Debug)]
struct Keeper {
    kept: Kept,
    tasks: Vec<AbortHandle>,
}

/// What is kept up to date.
#[derive(Clone, Debug)]
enum Kept {
    Issuer(Arc<IssuerPlan>),
    Upstream(Arc<UpstreamPlan>),
    Tls(Arc<ListenerTls>),
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Keepers {
    /// Begins what `plan` needs and is not there, and ends what it does not need.
    pub(super) fn follow(&mut self, plan: &Plan) {
        let issuers = plan.issuers.values().cloned().map(Kept::Issuer);
        let upstreams = plan.upstreams.values().cloned().map(Kept::Upstream);
        let tls = plan.terms.iter().filter_map(|terms: &Arc<Terms>| terms.tls().cloned());
        let mut before = std::mem::take(&mut self.0);
        for kept in issuers.chain(upstreams).chain(tls.map(Kept::Tls)) {
            let known = before.iter().position(|keeper| keeper.kept.is(&kept));
            let keeper = known.map(|place| before.swap_remove(place));
            self.0.push(keeper.unwrap_or_else(|| Keeper { tasks: kept.begin(), kept }));
        }
    }
}

impl Kept {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Issuer(one), Self::Issuer(other)) => Arc::ptr_eq(one, other),
            (Self::Upstream(one), Self::Upstream(other)) => Arc::ptr_eq(one, other),
            (Self::Tls(one), Self::Tls(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn begin(&self) -> Vec<AbortHandle> {
        let tasks: Vec<JoinHandle<()>> = match self {
            Self::Issuer(issuer) => issuer.refresher().map(tokio::spawn).into_iter().collect(),
            Self::Upstream(upstream) => {
                let checker = tokio::spawn(upstream.failover.health_checker());
                let discovery = upstream.discovery.clone().map(|it| tokio::spawn(it.run()));
                [checker].into_iter().chain(discovery).collect()
            }
            Self::Tls(tls) => vec![tokio::spawn(tls.clone().refresh())],
        };
        tasks.iter().map(JoinHandle::abort_handle).collect()
    }
}
