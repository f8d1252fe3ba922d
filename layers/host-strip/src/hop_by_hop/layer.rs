use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use super::handle::Counters;
use super::{HopByHop, HopByHopHandle, HopByHopService};

/// Wraps a service in [`HopByHopService`].
///
/// It leaves bodies alone, and allocates nothing for what it lets through (but see [`Upgrade::Preserve`]).
///
/// [`Upgrade::Preserve`]: crate::Upgrade::Preserve
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HopByHopLayer<R = DefaultBody> {
    policy: HopByHop,
    counters: Arc<Counters>,
    empty: R,
}

/// What a service and its clones have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) policy: HopByHop,
    pub(super) counters: Arc<Counters>,
}

impl HopByHopLayer {
    /// Applies `policy` to requests and responses.
    pub fn new(policy: HopByHop) -> Self {
        Self { policy, counters: Arc::default(), empty: DefaultBody::new() }
    }
}

impl<R> HopByHopLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for a body that has no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> HopByHopLayer<F> {
        HopByHopLayer { policy: self.policy, counters: self.counters, empty }
    }

    /// Gives a handle that tells what was ignored.
    pub fn handle(&self) -> HopByHopHandle {
        HopByHopHandle::new(self.counters.clone())
    }
}

impl<S, R: Clone> Layer<S> for HopByHopLayer<R> {
    type Service = HopByHopService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        // Of its own, so that services on different cores do not share the reference count.
        let shared = Shared { policy: self.policy.clone(), counters: self.counters.clone() };
        HopByHopService::new(inner, Arc::new(shared), self.empty.clone())
    }
}
