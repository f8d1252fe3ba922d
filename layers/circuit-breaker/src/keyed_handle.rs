use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::circuits::Circuits;
use crate::{CircuitBreakerHandle, HttpClassifier};

/// Sees and steers the circuits of a [`KeyedCircuitBreakerLayer`](crate::KeyedCircuitBreakerLayer).
#[must_use = "a handle does nothing by itself"]
pub struct KeyedCircuitBreakerHandle<K, C = HttpClassifier> {
    circuits: Arc<Circuits<K, C>>,
}

impl<K, C> KeyedCircuitBreakerHandle<K, C> {
    pub(crate) const fn new(circuits: Arc<Circuits<K, C>>) -> Self {
        Self { circuits }
    }

    /// How many circuits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.circuits.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash, C> KeyedCircuitBreakerHandle<K, C> {
    /// The circuit under `key`; none if no request had it yet, or if another has taken its place.
    ///
    /// When another takes its place later, the handle goes on to see a circuit that nobody uses.
    #[must_use]
    pub fn circuit(&self, key: &K) -> Option<CircuitBreakerHandle> {
        self.circuits.find(key).map(|gate| CircuitBreakerHandle::new(gate.breaker.clone()))
    }

    /// The keys there are circuits under, in no particular order.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.circuits.keys()
    }
}

impl<K, C> Clone for KeyedCircuitBreakerHandle<K, C> {
    fn clone(&self) -> Self {
        Self { circuits: self.circuits.clone() }
    }
}

impl<K, C> fmt::Debug for KeyedCircuitBreakerHandle<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedCircuitBreakerHandle").field(&self.circuits).finish()
    }
}
