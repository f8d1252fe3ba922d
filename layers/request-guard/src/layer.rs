use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::{Ceilings, RequestGuard};

/// Wraps a service in [`RequestGuard`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RequestGuardLayer<R = DefaultBody> {
    ceilings: Ceilings,
    empty: R,
}

impl RequestGuardLayer {
    /// A layer that refuses what exceeds `ceilings`.
    pub const fn new(ceilings: Ceilings) -> Self {
        Self { ceilings, empty: DefaultBody::new() }
    }
}

impl<R> RequestGuardLayer<R> {
    /// Makes the empty body of a refusal with `empty`: a closure for response bodies without a default.
    pub fn refuse_with<T>(self, empty: T) -> RequestGuardLayer<T> {
        RequestGuardLayer { ceilings: self.ceilings, empty }
    }
}

impl<S, R: Clone> Layer<S> for RequestGuardLayer<R> {
    type Service = RequestGuard<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestGuard::new(inner, self.ceilings.clone(), self.empty.clone())
    }
}
