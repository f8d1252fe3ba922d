use std::hash::{Hash, RandomState};
use std::sync::Arc;

use http::request::Parts;
use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::gate::Gate;
use crate::keys::Hashed;
use crate::meters::Meters;
use crate::{ConcurrencyLimit, ConcurrencyLimitHandle, ConcurrencyPolicy};

/// Wraps a service in [`ConcurrencyLimit`].
///
/// All services that a layer and its clones wrap share its places, which is the point: axum layers each route anew.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ConcurrencyLimitLayer<R = DefaultBody> {
    gate: Arc<Gate>,
    empty: R,
}

impl ConcurrencyLimitLayer {
    /// One limit for all requests, which has this name in metrics.
    pub fn new(name: impl Into<Arc<str>>, policy: ConcurrencyPolicy) -> Self {
        let gate = Gate::one(policy, Meters::new(&name.into()));
        Self { gate: Arc::new(gate), empty: DefaultBody::new() }
    }

    /// A limit for each key that a closure finds in a request, and one for all requests in which it finds none.
    ///
    /// A key has a limit from its first request under way until its last is over. There are limits for as many
    /// [keys](ConcurrencyPolicy::keys) at once as the policy says; further ones share one. Adapted limits begin anew with a
    /// key.
    pub fn per_key<K: Hash>(
        name: impl Into<Arc<str>>,
        policy: ConcurrencyPolicy,
        key: impl Fn(&Parts) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        let hashed = Box::new(Hashed { key, secret: RandomState::new() });
        let gate = Gate::per_key(policy, Meters::new(&name.into()), hashed);
        Self { gate: Arc::new(gate), empty: DefaultBody::new() }
    }
}

impl<R> ConcurrencyLimitLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> ConcurrencyLimitLayer<N> {
        ConcurrencyLimitLayer { gate: self.gate, empty }
    }

    /// Sees what is under way.
    pub fn handle(&self) -> ConcurrencyLimitHandle {
        ConcurrencyLimitHandle::new(self.gate.clone())
    }
}

impl<S, R: Clone> Layer<S> for ConcurrencyLimitLayer<R> {
    type Service = ConcurrencyLimit<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(inner, self.gate.clone(), self.empty.clone())
    }
}
