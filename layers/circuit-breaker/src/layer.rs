use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::breaker::Breaker;
use crate::guard::Gate;
use crate::meters::Meters;
use crate::readiness::WhenOpen;
use crate::{CircuitBreaker, CircuitBreakerHandle, CircuitBreakerPolicy, HttpClassifier};

/// Wraps a service in [`CircuitBreaker`].
///
/// All services that a layer and its clones wrap share one circuit, which is the point: axum layers each route anew.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct CircuitBreakerLayer<C = HttpClassifier, R = DefaultBody> {
    breaker: Arc<Breaker>,
    classifier: C,
    empty: R,
    when_open: WhenOpen,
}

impl CircuitBreakerLayer {
    /// A circuit that keeps to `policy`, judges by [`HttpClassifier`], and has this name in logs and metrics.
    pub fn new(name: impl Into<Arc<str>>, policy: CircuitBreakerPolicy) -> Self {
        let name = name.into();
        let meters = Meters::one(&name);
        Self {
            breaker: Arc::new(Breaker::new(name, policy, meters)),
            classifier: HttpClassifier::new(),
            empty: DefaultBody::new(),
            when_open: WhenOpen::Refuse,
        }
    }
}

impl<C, R> CircuitBreakerLayer<C, R> {
    /// Judges calls by `classifier`.
    pub fn classify_with<N>(self, classifier: N) -> CircuitBreakerLayer<N, R> {
        let Self { breaker, empty, when_open, .. } = self;
        CircuitBreakerLayer { breaker, classifier, empty, when_open }
    }

    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> CircuitBreakerLayer<C, N> {
        let Self { breaker, classifier, when_open, .. } = self;
        CircuitBreakerLayer { breaker, classifier, empty, when_open }
    }

    /// Is not ready, instead of refusing, while the circuit is open: for balancers, which then look elsewhere.
    ///
    /// Whoever waits is woken when the circuit changes or has room for a probe. A service that is ready while the circuit
    /// is half open holds a probe's place until it is called or dropped. One that was ready before the circuit opened
    /// refuses. Outside of a Tokio runtime with its timer enabled, waiting panics.
    pub fn not_ready_when_open(mut self) -> Self {
        self.when_open = WhenOpen::Wait;
        self
    }

    /// Sees and steers the circuit.
    pub fn handle(&self) -> CircuitBreakerHandle {
        CircuitBreakerHandle::new(self.breaker.clone())
    }
}

impl<S, C: Clone, R: Clone> Layer<S> for CircuitBreakerLayer<C, R> {
    type Service = CircuitBreaker<S, C, R>;

    fn layer(&self, inner: S) -> Self::Service {
        // A reference count of its own, so that services on different threads do not write to the same memory for it.
        let gate = Gate { breaker: self.breaker.clone(), classifier: self.classifier.clone() };
        CircuitBreaker::new(inner, Arc::new(gate), self.empty.clone(), self.when_open)
    }
}
