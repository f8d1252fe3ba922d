use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::{Pseudonym, Via};

/// Wraps a service in [`Via`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ViaLayer<R = DefaultBody> {
    name: Pseudonym,
    empty: R,
}

impl ViaLayer {
    /// A layer that is known by this name. Two proxies in a row must not have the same one.
    pub const fn new(name: Pseudonym) -> Self {
        Self { name, empty: DefaultBody::new() }
    }
}

impl<R> ViaLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> ViaLayer<N> {
        ViaLayer { name: self.name, empty }
    }
}

impl<S, R: Clone> Layer<S> for ViaLayer<R> {
    type Service = Via<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Via::new(inner, self.name.clone(), self.empty.clone())
    }
}
