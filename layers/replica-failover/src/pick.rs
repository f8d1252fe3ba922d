use std::sync::Arc;

use http::request::Parts;

use crate::{Candidate, Candidates};

/// Chooses a replica for a request.
///
/// [`Order`](crate::Order) has those that are there already; this is for others. Which replicas can be asked at all (tiers,
/// breakers, what has failed before) is decided elsewhere, and before.
pub trait Pick: Send + Sync {
    /// One of the candidates, of which there was at least one a moment ago.
    ///
    /// None lets the first of them have the request.
    fn pick<'a>(&self, candidates: &Candidates<'a>, request: &Parts) -> Option<Candidate<'a>>;

    /// What picks from this list of names and weights, if that can be prepared; else this does.
    ///
    /// Called once for each list of a service.
    fn prepared(&self, _replicas: &[(Arc<str>, u32)]) -> Option<Arc<dyn Pick>> {
        None
    }
}
