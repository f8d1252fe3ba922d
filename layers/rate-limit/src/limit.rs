use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::request::Parts;

use crate::{KeyOf, LimitPolicy, everyone};

/// One quota, for each of the keys that requests have.
#[derive(Clone)]
#[must_use = "a limit does nothing until a layer applies it"]
pub struct Limit {
    pub(crate) name: Arc<str>,
    pub(crate) policy: LimitPolicy,
    pub(crate) key: Arc<dyn KeyOf>,
    pub(crate) cost: Option<Arc<dyn CostOf>>,
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

impl Limit {
    /// One allowance for all requests, which cost a unit each.
    ///
    /// The name is seen in logs, metrics and by clients: what is not printable ASCII is left out for those. A [`Quota`]
    /// is a policy, too.
    ///
    /// [`Quota`]: crate::Quota
    pub fn new(name: impl Into<Arc<str>>, policy: impl Into<LimitPolicy>) -> Self {
        Self { name: name.into(), policy: policy.into(), key: Arc::new(everyone()), cost: None }
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
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
