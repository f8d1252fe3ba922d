use std::num::NonZeroU32;

use tokio::time::Instant;

use crate::meters::Meters;
use crate::policy::Limit;
use crate::{ConcurrencyPolicy, Overloaded, Why};

/// What all limiters of a layer go by. Each knows it, so that who has a place of one knows it by that alone.
pub(crate) struct Terms {
    pub(crate) policy: ConcurrencyPolicy,
    pub(crate) meters: Meters,
    pub(crate) born: Instant,
}

impl Terms {
    pub(crate) fn new(policy: ConcurrencyPolicy, meters: Meters) -> Self {
        Self { policy, meters, born: Instant::now() }
    }

    pub(crate) fn refuse(&self, why: Why) -> Overloaded {
        self.meters.refused(why);
        Overloaded::new(why, self.policy.retry_after)
    }

    /// The limit to begin with.
    pub(crate) const fn first(&self) -> NonZeroU32 {
        match &self.policy.limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(adaptive) => adaptive.begins_with(),
        }
    }

    pub(crate) const fn is_adaptive(&self) -> bool {
        matches!(self.policy.limit, Limit::Adaptive(_))
    }
}
