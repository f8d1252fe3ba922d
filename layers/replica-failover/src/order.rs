use std::sync::Arc;

use crate::Pick;
use crate::picks::{InOrder, LeastRequest, PeakEwma, RoundRobin, Weighted};

/// In which order the replicas of a tier are asked.
///
/// A tier is what has one [priority](crate::Replica::priority). Whatever the order, it is the replicas of the lowest tier
/// that can be asked which are, and a second attempt goes to one without a recent failure if there is one, in a higher
/// tier if need be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Order {
    /// The first of the list. A replica that failed stands back until it has been quiet for
    /// [`failback_after`](crate::FailoverPolicy::failback_after), then one request tries it again.
    #[default]
    Priority,
    /// Each in turn, whatever its weight.
    RoundRobin,
    /// At random, in proportion to the weights.
    Weighted,
    /// Of two at random, the one with fewer requests in hand for its weight.
    LeastRequest,
    /// Of two at random, the one that will be done sooner: by requests in hand, response time and weight.
    ///
    /// The time is to the headers; it follows a rise at once, and a failure counts for five seconds, so that a replica
    /// which fails fast attracts nothing.
    PeakEwma,
    /// Always the same for the same key: see [`HashOn`](crate::HashOn). By default, the key is the request's path.
    Hash,
}

impl Order {
    /// None for [`Hash`](Self::Hash), which needs a key.
    pub(crate) fn pick(self) -> Option<Arc<dyn Pick>> {
        Some(match self {
            Self::Priority => Arc::new(InOrder),
            Self::RoundRobin => Arc::new(RoundRobin::default()),
            Self::Weighted => Arc::new(Weighted),
            Self::LeastRequest => Arc::new(LeastRequest),
            Self::PeakEwma => Arc::new(PeakEwma),
            Self::Hash => return None,
        })
    }
}
