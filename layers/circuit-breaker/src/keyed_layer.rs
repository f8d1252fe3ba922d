use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::circuits::Circuits;
use crate::{
    CircuitBreakerPolicy, HttpClassifier, KeyOf, KeyedCircuitBreaker, KeyedCircuitBreakerHandle,
};

/// Wraps a service in [`KeyedCircuitBreaker`]: a circuit for each key.
///
/// All services that a layer and its clones wrap share its circuits.
#[must_use = "a layer does nothing until it wraps a service"]
pub struct KeyedCircuitBreakerLayer<K, F, C = HttpClassifier, R = DefaultBody> {
    pub(crate) circuits: Arc<Circuits<K, C>>,
    pub(crate) key: F,
    pub(crate) classifier: C,
    pub(crate) empty: R,
}

impl<K, F: KeyOf<K>> KeyedCircuitBreakerLayer<K, F> {
    /// Circuits that keep to `policy`, under what `key` says of a request, but no more than `most`.
    ///
    /// Keys may come from clients: where there are more, one takes the place of another that is as its
    /// [`Mode`](crate::Mode) says, closed as a rule, has no call under way and was not used lately; failing that, of any
    /// that is as it says; and only if none is, of one that is open, half open, ramping up, or was forced.
    pub fn new(
        name: impl Into<Arc<str>>,
        policy: CircuitBreakerPolicy,
        key: F,
        most: NonZeroUsize,
    ) -> Self {
        Self {
            circuits: Arc::new(Circuits::new(name.into(), policy, most)),
            key,
            classifier: HttpClassifier::new(),
            empty: DefaultBody::new(),
        }
    }
}

impl<K, F, C, R> KeyedCircuitBreakerLayer<K, F, C, R> {
    /// Judges calls by `classifier`. The circuits start anew: a handle from before sees none of them.
    pub fn classify_with<N>(self, classifier: N) -> KeyedCircuitBreakerLayer<K, F, N, R> {
        let Self { circuits, key, empty, .. } = self;
        KeyedCircuitBreakerLayer { circuits: Arc::new(circuits.anew()), key, classifier, empty }
    }

    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> KeyedCircuitBreakerLayer<K, F, C, N> {
        let Self { circuits, key, classifier, .. } = self;
        KeyedCircuitBreakerLayer { circuits, key, classifier, empty }
    }

    /// Sees and steers the circuits.
    pub fn handle(&self) -> KeyedCircuitBreakerHandle<K, C> {
        KeyedCircuitBreakerHandle::new(self.circuits.clone())
    }
}

impl<K, F: Clone, C: Clone, R: Clone> Clone for KeyedCircuitBreakerLayer<K, F, C, R> {
    fn clone(&self) -> Self {
        Self {
            circuits: self.circuits.clone(),
            key: self.key.clone(),
            classifier: self.classifier.clone(),
            empty: self.empty.clone(),
        }
    }
}

impl<K, F, C, R> fmt::Debug for KeyedCircuitBreakerLayer<K, F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreakerLayer")
            .field("circuits", &self.circuits)
            .finish_non_exhaustive()
    }
}

impl<S, K, F: Clone, C: Clone, R: Clone> Layer<S> for KeyedCircuitBreakerLayer<K, F, C, R> {
    type Service = KeyedCircuitBreaker<S, K, F, C, R>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedCircuitBreaker::new(inner, self.clone())
    }
}
