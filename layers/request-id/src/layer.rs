use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

use crate::gate::{Gate, Settings};
use crate::meters::Meters;
use crate::{Generator, RequestIdPolicy, RequestIdService};

/// Wraps a service in [`RequestIdService`].
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RequestIdLayer<G = Generator> {
    policy: RequestIdPolicy,
    generator: G,
    settings: Settings,
}

impl RequestIdLayer {
    /// A layer that keeps to `policy`.
    pub fn new(policy: RequestIdPolicy) -> Self {
        let generator = Generator::new(policy.format);
        Self { policy, generator, settings: Settings::default() }
    }
}

impl<G> RequestIdLayer<G> {
    /// Makes ids by `generator`, whatever the policy says of their format.
    pub fn generate_with<N>(self, generator: N) -> RequestIdLayer<N> {
        let Self { policy, settings, .. } = self;
        RequestIdLayer { policy, generator, settings }
    }

    /// Learns from a closure whom a request is from, for [`Trust::Networks`](crate::Trust::Networks): who has no address is
    /// trusted as little as one from elsewhere.
    pub fn peer(mut self, peer: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.settings.peer = Some(Arc::new(peer));
        self
    }

    /// Believes the ids of requests that a closure says yes to, too.
    pub fn trusted_if(mut self, trusted: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.trusted_if = Some(Arc::new(trusted));
        self
    }

    /// Keeps the id at hand for [`RequestId::current`](crate::RequestId::current) while the inner service is at work.
    pub const fn keep_current(mut self) -> Self {
        self.settings.keeps_current = true;
        self
    }

    /// Has the inner service work in a span `request` of level `DEBUG`, with the id as `http.request.id`, and what was sent and
    /// is not believed, made harmless, as `http.request.id.sent`. A subscriber that leaves that level out pays nothing for it:
    /// for one that does not a span takes as long as all the rest of the layer.
    pub const fn in_span(mut self) -> Self {
        self.settings.in_span = true;
        self
    }

    /// Leaves the id out of the extensions of responses, where nobody looks for it: one that has no others saves three
    /// allocations. Its header has the id all the same.
    pub const fn spare_response_extensions(mut self) -> Self {
        self.settings.spares_response = true;
        self
    }

    /// Marks the id [sensitive](http::HeaderValue::set_sensitive) wherever it is a header: HTTP/2 then keeps it out of the table
    /// of its compression (RFC 7541 §6.2.3), where a value that never comes again only takes the place of others. An encoder
    /// that looks for a value among all of its name, as that of `h2` does, looks at fifty of them for each message otherwise.
    /// `Debug` of such a header does not print it.
    pub const fn unindexed(mut self) -> Self {
        self.settings.is_unindexed = true;
        self
    }
}

/// Keeps to the default [`RequestIdPolicy`].
impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new(RequestIdPolicy::new())
    }
}

impl<S, G: Clone> Layer<S> for RequestIdLayer<G> {
    type Service = RequestIdService<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { policy, generator, settings } = self.clone();
        let (lengths, meters) = (policy.lengths(), Meters::new());
        let gate = Gate { policy, lengths, generator, settings, meters };
        RequestIdService::new(inner, Arc::new(gate))
    }
}

impl<G> fmt::Debug for RequestIdLayer<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestIdLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}
