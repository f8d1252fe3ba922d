use std::sync::Arc;

use tower_layer::Layer;

use crate::{ForwardedPolicy, Tell};

/// Wraps a service in [`Tell`]; made by [`ForwardedLayer::tell`](crate::ForwardedLayer::tell).
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct TellLayer {
    policy: Arc<ForwardedPolicy>,
}

impl TellLayer {
    pub(crate) const fn new(policy: Arc<ForwardedPolicy>) -> Self {
        Self { policy }
    }
}

impl<S> Layer<S> for TellLayer {
    type Service = Tell<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Tell::new(inner, self.policy.clone())
    }
}
