use std::fmt;
use std::sync::Arc;

use crate::Replica;
use crate::live::Live;

/// The list of one [`ReplicaFailover`](crate::ReplicaFailover) and its clones, to be replaced while they serve.
///
/// Clones are of the same list.
pub struct Replicas<S> {
    live: Arc<Live<S>>,
}

impl<S> Replicas<S> {
    pub(crate) const fn new(live: Arc<Live<S>>) -> Self {
        Self { live }
    }

    /// Serves requests by these replicas from now on.
    ///
    /// What is known of a replica stays by its name, whatever its service is now. One that is not among them any more
    /// finishes what it has in hand, and is sent nothing else, not even what fails elsewhere; a request that began before
    /// goes on among those of its list which have stayed. Once no list of the layer has it, the layer knows nothing of it,
    /// and checks it no more. A new one comes little by little, if the layer's checks have a
    /// [`SlowStart`](crate::SlowStart).
    ///
    /// With an empty list, the answer is 503. Who cannot tell what the replicas are, as a resolver that fails, leaves
    /// the last list in place.
    pub fn replace(&self, replicas: Vec<Replica<S>>) {
        self.live.replace(replicas);
    }
}

impl<S> Clone for Replicas<S> {
    fn clone(&self) -> Self {
        Self::new(self.live.clone())
    }
}

impl<S> fmt::Debug for Replicas<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Replicas").field(&self.live).finish()
    }
}
