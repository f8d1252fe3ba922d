use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::{Forwarded, ForwardedPolicy};

/// Wraps a service in [`Forwarded`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ForwardedLayer<P, R = DefaultBody> {
    policy: Arc<ForwardedPolicy>,
    peer: P,
    empty: R,
}

impl<P> ForwardedLayer<P> {
    /// A layer that keeps to `policy`, and learns from `peer` whom a connection is from.
    pub fn new(policy: ForwardedPolicy, peer: P) -> Self {
        Self { policy: Arc::new(policy), peer, empty: DefaultBody::new() }
    }
}

impl<P, R> ForwardedLayer<P, R> {
    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> ForwardedLayer<P, N> {
        ForwardedLayer { policy: self.policy, peer: self.peer, empty }
    }
}

impl<S, P: Clone, R: Clone> Layer<S> for ForwardedLayer<P, R> {
    type Service = Forwarded<S, P, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Forwarded::new(inner, self.policy.clone(), self.peer.clone(), self.empty.clone())
    }
}
