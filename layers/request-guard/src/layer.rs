use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::{Policy, RequestGuard};

/// Wraps a service in [`RequestGuard`].
///
/// The layer, its clones and all their services share one policy: a clone is a reference count.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RequestGuardLayer<R = DefaultBody> {
    policy: Arc<Policy>,
    empty: R,
}

impl RequestGuardLayer {
    /// A layer that refuses what `policy` does not let pass.
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), empty: DefaultBody::new() }
    }
}

impl<R> RequestGuardLayer<R> {
    /// The policy that it applies.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Makes the empty body of a refusal with `empty`: a closure for response bodies without a default.
    pub fn refuse_with<T>(self, empty: T) -> RequestGuardLayer<T> {
        RequestGuardLayer { policy: self.policy, empty }
    }
}

impl<S, R: Clone> Layer<S> for RequestGuardLayer<R> {
    type Service = RequestGuard<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestGuard::new(inner, Arc::clone(&self.policy), self.empty.clone())
    }
}
