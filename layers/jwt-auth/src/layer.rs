use std::sync::Arc;
use std::time::SystemTime;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::cache::TokenCache;
use crate::challenge::Challenge;
use crate::gate::Gate;
use crate::request_meters::RequestMeters;
use crate::token_status::Hook;
use crate::trust::Trust;
use crate::{ConfigError, Issuer, JwtAuth, JwtAuthHandle, Policy, Refresher, TokenStatus};

/// Wraps a service in [`JwtAuth`].
///
/// All services that a layer and its clones wrap share its keys, and the tokens it remembers. A clone costs one
/// reference.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct JwtAuthLayer<R = DefaultBody> {
    gate: Arc<Gate>,
    empty: R,
}

impl JwtAuthLayer {
    /// Lets requests through that have a valid token of one of the issuers, and whose claims the policy allows.
    ///
    /// # Errors
    ///
    /// When no token could be told to be valid: there is no issuer, or one without a key, or there are several and one
    /// of them has no name or that of another; and when the policy has no source or two alike, or asks for something that
    /// cannot be.
    pub fn new(
        policy: Policy,
        issuers: impl IntoIterator<Item = Issuer>,
    ) -> Result<Self, ConfigError> {
        let policy = policy.usable()?;
        let gate = Gate {
            trust: Trust::new(issuers)?,
            challenge: Challenge::of(&policy),
            cache: Arc::new(TokenCache::new(policy.cache_limits())),
            policy,
            clock: SystemTime::now,
            status: None,
            meters: RequestMeters::new(),
        };
        Ok(Self { gate: Arc::new(gate), empty: DefaultBody::new() })
    }
}

impl<R> JwtAuthLayer<R> {
    /// Takes the time from `clock`, once per token; by default from the system.
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        Arc::make_mut(&mut self.gate).clock = clock;
        self
    }

    /// Asks `status` about each request that would be let through otherwise; see [`TokenStatus`].
    ///
    /// Requests then allocate what waiting takes, and hold no place in the inner service meanwhile.
    pub fn status(mut self, status: impl TokenStatus) -> Self {
        Arc::make_mut(&mut self.gate).status = Some(Hook::new(status));
        self
    }

    /// Looks at the key sets of issuers that are asked for them, and at remembered tokens; see [`JwtAuthHandle`].
    pub fn handle(&self) -> JwtAuthHandle {
        JwtAuthHandle::new(self.gate.trust.stores(), self.gate.cache.clone())
    }

    /// Keeps those key sets fresh while it is polled; see [`Refresher`].
    pub fn refresher(&self) -> Refresher {
        Refresher::new(self.gate.trust.stores().map(|(_, store)| store))
    }

    /// Answers with a body of `empty`'s, for bodies that have no default.
    pub fn refuse_with<T>(self, empty: T) -> JwtAuthLayer<T> {
        JwtAuthLayer { gate: self.gate, empty }
    }
}

impl<S, R: Clone> Layer<S> for JwtAuthLayer<R> {
    type Service = JwtAuth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        JwtAuth::new(inner, self.gate.clone(), self.empty.clone())
    }
}
