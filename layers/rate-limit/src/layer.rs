use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::gate::{Exempt, Gate, Limits};
use crate::store::MOST_LIMITS;
use crate::{InMemory, InvalidLimits, Limit, RateLimit, RateLimitHandle, Wait};

/// Wraps a service in [`RateLimit`].
///
/// All services that a layer and its clones wrap share its allowances, which is the point: axum layers each route anew.
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RateLimitLayer<St = InMemory, R = DefaultBody> {
    limits: Arc<Limits>,
    store: St,
    wait: Option<Wait>,
    exempt: Option<Arc<dyn Exempt>>,
    announced: bool,
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
        let names: HashSet<_> = limits.iter().map(|limit| &limit.name).collect();
        if names.len() < limits.len() {
            return Err(InvalidLimits::SameName);
        }
        Ok(Self {
            limits: Arc::new(Limits::new(limits)),
            store: InMemory,
            wait: None,
            exempt: None,
            announced: false,
            empty: DefaultBody::new(),
        })
    }
}

impl<St, R> RateLimitLayer<St, R> {
    /// Keeps the allowances in `store`.
    pub fn store<N>(self, store: N) -> RateLimitLayer<N, R> {
        let Self { limits, wait, exempt, announced, empty, .. } = self;
        RateLimitLayer { limits, store, wait, exempt, announced, empty }
    }

    /// Lets requests wait that are not too early by much. By default none does.
    ///
    /// Outside of a Tokio runtime with its timer enabled, waiting panics.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Lets requests through that a closure says are exempt: probes, preflights.
    pub fn exempt(mut self, exempt: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Some(Arc::new(exempt));
        self
    }

    /// Says on every response what is left, in the fields `RateLimit-Policy` and `RateLimit`, and not only on refusals.
    ///
    /// It is said of the limit that has the least left.
    pub const fn announce(mut self) -> Self {
        self.announced = true;
        self
    }

    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> RateLimitLayer<St, N> {
        let Self { limits, store, wait, exempt, announced, .. } = self;
        RateLimitLayer { limits, store, wait, exempt, announced, empty }
    }

    /// Sees what the limits hold, and lets keys start anew.
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle::new(self.limits.clone())
    }
}

impl<S, St: Clone, R: Clone> Layer<S> for RateLimitLayer<St, R> {
    type Service = RateLimit<S, St, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { limits, store, wait, exempt, announced, empty } = self.clone();
        // A reference count of its own, so that services on different threads do not write to the same memory for it.
        let gate = Arc::new(Gate { limits, store, wait, exempt, announced });
        RateLimit::new(inner, gate, empty)
    }
}

impl<St: Clone, R: Clone> Clone for RateLimitLayer<St, R> {
    fn clone(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            store: self.store.clone(),
            wait: self.wait,
            exempt: self.exempt.clone(),
            announced: self.announced,
            empty: self.empty.clone(),
        }
    }
}

impl<St, R> fmt::Debug for RateLimitLayer<St, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("limits", &self.limits)
            .field("wait", &self.wait)
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}
