use std::error::Error;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::checks::Checks;

/// A service among others that can do the same, and what decides when it is asked.
///
/// Its name is what it is known by in logs, metrics and the handle: two of one name share one record.
#[derive(Clone)]
#[must_use = "a replica serves nothing outside of a list"]
pub struct Replica<S> {
    pub(crate) service: S,
    pub(crate) place: Place,
}

/// All of a replica but its service.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    pub(crate) priority: u8,
    pub(crate) weight: NonZeroU32,
    pub(crate) admits: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    pub(crate) admits_in: Option<Arc<dyn Fn() -> Option<Duration> + Send + Sync>>,
    pub(crate) checks: Checks,
}

impl<S> Replica<S> {
    /// A replica of priority 1 and weight 1, which admits every request.
    pub fn new(name: impl Into<Arc<str>>, service: S) -> Self {
        let place = Place {
            name: name.into(),
            priority: 1,
            weight: NonZeroU32::MIN,
            admits: None,
            admits_in: None,
            checks: Checks::default(),
        };
        Self { service, place }
    }

    /// Puts it into a tier: a lower one is asked first, a higher one only if no replica below can be.
    pub fn priority(mut self, priority: u8) -> Self {
        self.place.priority = priority;
        self
    }

    /// Its share of the requests of its tier, relative to the others', in the orders that weigh.
    pub const fn weight(mut self, weight: NonZeroU32) -> Self {
        self.place.weight = weight;
        self
    }

    /// Asks `admits` whether a request would be let in, as a circuit breaker's handle can tell.
    ///
    /// A replica that says no is skipped: that takes nothing of the request, and is no attempt. It is asked often, a few
    /// times for each request, and must have no effect.
    pub fn admits(mut self, admits: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.place.admits = Some(Arc::new(admits));
        self
    }

    /// Asks `admits_in` when a replica that does not admit requests will, as a circuit breaker's handle can tell: none, if
    /// that is not known.
    ///
    /// It is asked when no replica can be, to say in `Retry-After` when the first of them can. Without it, that is at once.
    pub fn admits_in(
        mut self,
        admits_in: impl Fn() -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.place.admits_in = Some(Arc::new(admits_in));
        self
    }

    /// The same replica, served by `service`: of one description, replicas are made for several lists.
    pub fn served_by<T>(self, service: T) -> Replica<T> {
        Replica { service, place: self.place }
    }

    /// Asks by `client` in checks with an HTTP or a gRPC [`Probe`](crate::Probe). Without it, they leave the replica out.
    ///
    /// It is cloned for each check. The request's URI is a path alone, and its body [`From<Bytes>`]: scheme, address,
    /// credentials and, if the probe has none, the host are added by the client. One of its own, with connections of its
    /// own, keeps checks from keeping a replica's idle connections alive; it must not follow redirects.
    pub fn probed_by<F, B, RB>(mut self, client: F) -> Self
    where
        F: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        F::Future: Send,
        F::Error: Into<Box<dyn Error + Send + Sync>>,
        B: From<Bytes> + Send + 'static,
        RB: Body + Send + 'static,
        RB::Data: Send,
        RB::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.place.checks.by_client(client);
        self
    }

    /// Asks by `connect` in checks with [`Probe::Tcp`](crate::Probe::Tcp). Without it, they leave the replica out.
    ///
    /// The connection is dropped as soon as it is there.
    pub fn dialed_by<C, F, T, E>(mut self, connect: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.place.checks.by_connector(connect);
        self
    }
}

impl Place {
    pub(crate) fn admits(&self) -> bool {
        self.admits.as_ref().is_none_or(|admits| admits())
    }

    /// After how long it may admit a request; none if it does not know.
    pub(crate) fn admits_in(&self) -> Option<Duration> {
        match &self.admits_in {
            Some(admits_in) if !self.admits() => admits_in(),
            _ => Some(Duration::ZERO),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Replica<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("name", &self.place.name)
            .field("priority", &self.place.priority)
            .field("weight", &self.place.weight)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
