use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use super::handle::Counters;
use super::{HopByHop, HopByHopHandle, HopByHopService, Violation};
use crate::meters::{Reasons, Removals};

/// Wraps a service in [`HopByHopService`].
///
/// It leaves bodies alone, and allocates nothing for what it lets through (but see [`Upgrade::Preserve`] and
/// [`HopByHop::remove_prefix`]).
///
/// [`Upgrade::Preserve`]: crate::Upgrade::Preserve
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HopByHopLayer<R = DefaultBody> {
    shared: Shared,
    empty: R,
}

/// What a service and its clones have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) policy: HopByHop,
    pub(super) counters: Arc<Counters>,
    pub(super) rejections: Reasons,
    pub(super) requests: Removals,
    pub(super) responses: Removals,
}

impl HopByHopLayer {
    /// Applies `policy` to requests and responses.
    pub fn new(policy: HopByHop) -> Self {
        let reasons = Violation::ALL.into_iter().map(Violation::reason);
        let shared = Shared {
            policy,
            counters: Arc::default(),
            rejections: Reasons::new("host_strip_rejected_total", reasons),
            requests: Removals::new("request"),
            responses: Removals::new("response"),
        };
        Self { shared, empty: DefaultBody::new() }
    }
}

impl<R> HopByHopLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for a body that has no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> HopByHopLayer<F> {
        HopByHopLayer { shared: self.shared, empty }
    }

    /// Gives a handle that tells what was ignored.
    pub fn handle(&self) -> HopByHopHandle {
        HopByHopHandle::new(self.shared.counters.clone())
    }
}

impl<S, R: Clone> Layer<S> for HopByHopLayer<R> {
    type Service = HopByHopService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        // Of its own, so that services on different cores do not share the reference count.
        HopByHopService::new(inner, Arc::new(self.shared.clone()), self.empty.clone())
    }
}
