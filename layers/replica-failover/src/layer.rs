use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::live::Live;
use crate::shared::{Settings, Shared};
use crate::{
    ByCause, FailoverHandle, FailoverPolicy, HashKey, HealthCheck, HealthChecker, Pick, Replica,
    ReplicaFailover,
};

/// Makes one [`ReplicaFailover`] out of a list of [`Replica`]s.
///
/// All services made by a layer and its clones know the same of their replicas, by name: what failed, what is in flight, whose
/// turn it is, what is left of the budget. The verbs make a layer that knows nothing yet.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a list of replicas"]
pub struct ReplicaFailoverLayer<C = ByCause, R = DefaultBody> {
    shared: Arc<Shared>,
    classify: C,
    empty: R,
}

impl ReplicaFailoverLayer {
    /// A layer that keeps to `policy`.
    pub fn new(policy: FailoverPolicy) -> Self {
        let shared = Arc::new(Shared::new(Settings::new(policy)));
        Self { shared, classify: ByCause::new(), empty: DefaultBody::new() }
    }
}

impl<C, R> ReplicaFailoverLayer<C, R> {
    /// Judges errors and responses by `classify`: a closure over the service's error, or a [`Classify`](crate::Classify).
    pub fn classify<N>(self, classify: N) -> ReplicaFailoverLayer<N, R> {
        ReplicaFailoverLayer { shared: self.shared, classify, empty: self.empty }
    }

    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> ReplicaFailoverLayer<C, N> {
        ReplicaFailoverLayer { shared: self.shared, classify: self.classify, empty }
    }

    /// The name of the whole in logs and metrics: without it, `default`.
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        self.with(|settings| Settings { name, ..settings })
    }

    /// What the replica depends on in [`Order::Hash`](crate::Order::Hash): without it, the path.
    pub fn hash_on(self, key: impl HashKey + 'static) -> Self {
        self.with(|settings| Settings { key: Arc::new(key), ..settings })
    }

    /// Chooses by `pick` within a tier, instead of by the policy's [`Order`](crate::Order).
    pub fn pick(self, pick: impl Pick + 'static) -> Self {
        self.with(|settings| Settings { pick: Some(Arc::new(pick)), ..settings })
    }

    /// Skips replicas that are unhealthy, as the [`health_checker`](Self::health_checker) finds them by `check`.
    pub fn health_check(self, check: HealthCheck) -> Self {
        self.with(|settings| Settings { health: Some(Arc::new(check)), ..settings })
    }

    /// What checks the replicas of this layer, and must be spawned for that: see [`HealthChecker`].
    pub fn health_checker(&self) -> HealthChecker {
        HealthChecker::new(&self.shared)
    }

    /// Puts [`Attempts`](crate::Attempts) into every response: without it, into those before which something failed, of
    /// several attempts, or of no replica at all.
    ///
    /// That names the replica, and takes three allocations where a response has no other extensions.
    pub fn tell_always(self) -> Self {
        self.with(|settings| Settings { tells_always: true, ..settings })
    }

    /// A handle to see how the replicas do, and to take them out.
    pub fn handle(&self) -> FailoverHandle {
        FailoverHandle::new(self.shared.clone())
    }

    fn with(self, change: impl FnOnce(Settings) -> Settings) -> Self {
        let settings = change(self.shared.settings.clone());
        Self { shared: Arc::new(Shared::new(settings)), ..self }
    }
}

/// Keeps to the default [`FailoverPolicy`].
impl Default for ReplicaFailoverLayer {
    fn default() -> Self {
        Self::new(FailoverPolicy::default())
    }
}

/// A service over an empty list answers every request with 503.
impl<S, C: Clone, R: Clone> Layer<Vec<Replica<S>>> for ReplicaFailoverLayer<C, R> {
    type Service = ReplicaFailover<S, C, R>;

    fn layer(&self, replicas: Vec<Replica<S>>) -> Self::Service {
        let live = Live::new(self.shared.clone(), replicas);
        ReplicaFailover::new(Arc::new(live), self.classify.clone(), self.empty.clone())
    }
}
