use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use crate::ledger::Ledger;
use crate::{KeyOf, LimitPolicy, RateLimitHandle, everyone};

/// One quota, for each of the keys that requests have, and what they have used of it.
///
/// Clones share their allowances, so that a limit may stand in several layers: whoever passes one of them takes of the same.
#[derive(Clone)]
#[must_use = "a limit does nothing until a layer applies it"]
pub struct Limit {
    pub(crate) policy: LimitPolicy,
    pub(crate) key: Arc<dyn KeyOf>,
    pub(crate) cost: Option<Arc<dyn CostOf>>,
    pub(crate) exempt: Option<Arc<dyn Exempt>>,
    pub(crate) charge: Option<Arc<dyn Charge>>,
    pub(crate) ledger: Arc<Ledger>,
}

/// Says what a request costs.
pub(crate) trait CostOf: Send + Sync {
    fn cost(&self, parts: &Parts) -> NonZeroU32;
}

impl<F: Fn(&Parts) -> NonZeroU32 + Send + Sync> CostOf for F {
    fn cost(&self, parts: &Parts) -> NonZeroU32 {
        self(parts)
    }
}

/// Says which requests are none of a limit's business.
pub(crate) trait Exempt: Send + Sync {
    fn is_exempt(&self, parts: &Parts) -> bool;
}

impl<F: Fn(&Parts) -> bool + Send + Sync> Exempt for F {
    fn is_exempt(&self, parts: &Parts) -> bool {
        self(parts)
    }
}

/// Says which responses count.
pub(crate) trait Charge: Send + Sync {
    fn counts(&self, status: StatusCode) -> bool;
}

impl<F: Fn(StatusCode) -> bool + Send + Sync> Charge for F {
    fn counts(&self, status: StatusCode) -> bool {
        self(status)
    }
}

impl Limit {
    /// One allowance for all requests, which cost a unit each.
    ///
    /// The name is seen in logs, metrics and by clients: what is not printable ASCII is left out for those. A [`Quota`]
    /// is a policy, too. The memory for its keys is taken now.
    ///
    /// [`Quota`]: crate::Quota
    pub fn new(name: impl Into<Arc<str>>, policy: impl Into<LimitPolicy>) -> Self {
        let policy = policy.into();
        let ledger = Arc::new(Ledger::new(name.into(), &policy));
        Self { policy, key: Arc::new(everyone()), cost: None, exempt: None, charge: None, ledger }
    }

    /// An allowance for each key: [`by_address`](crate::by_address), [`by_header`](crate::by_header),
    /// [`by_both`](crate::by_both), or a closure over the parts of a request.
    pub fn key(mut self, key: impl KeyOf + 'static) -> Self {
        self.key = Arc::new(key);
        self
    }

    /// Takes as many units for a request as a closure says.
    ///
    /// What costs more than the burst is never let through.
    pub fn cost(mut self, cost: impl Fn(&Parts) -> NonZeroU32 + Send + Sync + 'static) -> Self {
        self.cost = Some(Arc::new(cost));
        self
    }

    /// Lets requests through that a closure says are exempt, as far as this limit is concerned: probes, preflights.
    pub fn exempt(mut self, exempt: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Some(Arc::new(exempt));
        self
    }

    /// Counts only requests whose response has a status that a closure says counts, such as failed logins.
    ///
    /// A request takes what it costs, and is given it back when its response does not count: so many that fail are let
    /// through at once, and no more. One that ends without a response has spent it. With a store that is shared nothing is
    /// given back.
    pub fn charge(mut self, counts: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.charge = Some(Arc::new(counts));
        self
    }

    /// The same limit by another policy: what keys have used they have used, if it is for as many keys.
    ///
    /// Key, cost, exemptions and what counts are to be said anew. The quota is still that of before, for both, until
    /// [`change_quota`](RateLimitHandle::change_quota) changes it for both: whoever replaces one by the other chooses the
    /// moment.
    pub fn renewed(&self, policy: impl Into<LimitPolicy>) -> Self {
        let policy = policy.into();
        let ledger = if policy.keys == self.policy.keys {
            self.ledger.clone()
        } else {
            Arc::new(Ledger::new(self.ledger.name.clone(), &policy))
        };
        Self { policy, key: Arc::new(everyone()), cost: None, exempt: None, charge: None, ledger }
    }

    /// Sees what it holds in memory, and steers it.
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle::new(self.ledger.clone())
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.ledger.name
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", self.name())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
