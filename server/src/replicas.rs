//! Who serves an upstream, listed or discovered.

mod making;
mod discovery;
mod addresses;
mod pace;
mod resolver;

pub use discovery::Discovery;
pub use making::ReplicaPlan;
pub(crate) use making::{Making, Own, Signing};

use std::sync::Arc;

use tokio::sync::watch;

/// The replicas of one upstream: as the file lists them, or as they were discovered last.
#[derive(Debug)]
pub struct Replicas(watch::Sender<Arc<[ReplicaPlan]>>);

impl Replicas {
    pub(crate) fn new(replicas: Vec<ReplicaPlan>) -> Self {
        Self(watch::Sender::new(replicas.into()))
    }

    /// As they are now.
    #[must_use]
    pub fn current(&self) -> Arc<[ReplicaPlan]> {
        self.0.borrow().clone()
    }

    /// As they are now, and as they will be.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<[ReplicaPlan]>> {
        self.0.subscribe()
    }

    pub(crate) fn replace(&self, replicas: Vec<ReplicaPlan>) {
        self.0.send_replace(replicas.into());
    }
}
