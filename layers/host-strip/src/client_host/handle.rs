use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells how many requests the services of one [`ClientHostLayer`](crate::ClientHostLayer) and its clones have let pass
/// although they named no host, or more than one.
#[derive(Clone, Debug)]
#[must_use = "a handle is there to be asked"]
pub struct ClientHostHandle {
    passed: Arc<AtomicU64>,
}

impl ClientHostHandle {
    pub(super) const fn new(passed: Arc<AtomicU64>) -> Self {
        Self { passed }
    }

    /// The requests so far: with [`OnAmbiguity::Reject`](crate::OnAmbiguity::Reject) always none.
    #[must_use]
    pub fn passed(&self) -> u64 {
        // The count orders nothing else.
        self.passed.load(Ordering::Relaxed)
    }
}
