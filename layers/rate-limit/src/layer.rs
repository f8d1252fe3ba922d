use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::gate::Gate;
use crate::store::MOST_LIMITS;
use crate::{InMemory, InvalidLimits, Limit, RateLimit, RateLimitHandle};

/// Wraps a service in [`RateLimit`].
///
/// All services that a layer and its clones wrap share its allowances, which is the point: axum layers each route anew.
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RateLimitLayer<St = InMemory, R = DefaultBody> {
    limits: Arc<[Limit]>,
    store: St,
    empty: R,
}

impl RateLimitLayer {
    /// A layer that applies all of `limits` to each request: it takes from all of them, or from none.
    ///
    /// # Errors
    ///
    /// When there are none, more than eight, or two of one name.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, InvalidLimits> {
        let limits: Arc<[_]> = limits.into_iter().collect();
        if limits.is_empty() || limits.len() > MOST_LIMITS {
            return Err(InvalidLimits::Number);
        }
        let names: HashSet<_> = limits.iter().map(Limit::name).collect();
        if names.len() < limits.len() {
            return Err(InvalidLimits::SameName);
        }
        Ok(Self { limits, store: InMemory, empty: DefaultBody::new() })
    }
}

impl<St, R> RateLimitLayer<St, R> {
    /// Keeps the allowances in `store`.
    pub fn store<N>(self, store: N) -> RateLimitLayer<N, R> {
        RateLimitLayer { limits: self.limits, store, empty: self.empty }
    }

    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> RateLimitLayer<St, N> {
        RateLimitLayer { limits: self.limits, store: self.store, empty }
    }

    /// Sees what a limit of this name holds, and steers it; none if there is no such limit.
    #[must_use]
    pub fn handle(&self, name: &str) -> Option<RateLimitHandle> {
        self.limits.iter().find(|limit| **limit.name() == *name).map(Limit::handle)
    }
}

impl<S, St: Clone, R: Clone> Layer<S> for RateLimitLayer<St, R> {
    type Service = RateLimit<S, St, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { limits, store, empty } = self.clone();
        // A reference count of its own, so that services on different threads do not write to the same memory for it.
        RateLimit::new(inner, Arc::new(Gate::new(limits, store)), empty)
    }
}

impl<St, R> fmt::Debug for RateLimitLayer<St, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}
