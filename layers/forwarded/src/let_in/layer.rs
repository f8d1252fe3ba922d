use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::{Addresses, LetIn};

/// Wraps a service in [`LetIn`].
///
/// It goes by the [`Client`](crate::Client) that a [`ForwardedLayer`](crate::ForwardedLayer) above it has found.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct LetInLayer<R = DefaultBody> {
    addresses: Arc<Addresses>,
    empty: R,
}

impl LetInLayer {
    /// A layer that lets in who comes from these.
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses: Arc::new(addresses), empty: DefaultBody::new() }
    }
}

impl<R> LetInLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> LetInLayer<N> {
        LetInLayer { addresses: self.addresses, empty }
    }
}

impl<S, R: Clone> Layer<S> for LetInLayer<R> {
    type Service = LetIn<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        LetIn::new(inner, self.addresses.clone(), self.empty.clone())
    }
}
