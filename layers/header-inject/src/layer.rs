use std::sync::Arc;

use tower_layer::Layer;

use crate::{HeaderInject, InjectHeaders};

/// Wraps a service in [`InjectHeaders`].
///
/// The layer, its clones and all their services share one policy: a clone is a reference count.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HeaderInjectLayer {
    policy: Arc<HeaderInject>,
}

impl HeaderInjectLayer {
    /// A layer that follows `policy`.
    pub fn new(policy: HeaderInject) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<S> Layer<S> for HeaderInjectLayer {
    type Service = InjectHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InjectHeaders::new(inner, Arc::clone(&self.policy))
    }
}
