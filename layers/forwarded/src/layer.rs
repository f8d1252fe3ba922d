use std::sync::Arc;

use tower_layer::Layer;

use crate::{Forwarded, ForwardedPolicy, TellLayer};

/// Wraps a service in [`Forwarded`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ForwardedLayer<P> {
    policy: Arc<ForwardedPolicy>,
    peer: P,
}

impl<P> ForwardedLayer<P> {
    /// A layer that keeps to `policy`, and learns from `peer` whom a connection is from.
    pub fn new(policy: ForwardedPolicy, peer: P) -> Self {
        Self { policy: Arc::new(policy), peer }
    }

    /// The layer that tells the next hop what this one has found out. It stands further down: below what counts headers,
    /// and below what takes off those that a client names in `Connection`.
    pub fn tell(&self) -> TellLayer {
        TellLayer::new(self.policy.clone())
    }
}

impl<S, P: Clone> Layer<S> for ForwardedLayer<P> {
    type Service = Forwarded<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Forwarded::new(inner, self.policy.clone(), self.peer.clone())
    }
}
