use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

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
}

impl<S> Replica<S> {
    /// A replica of priority 1 and weight 1, which admits every request.
    pub fn new(name: impl Into<Arc<str>>, service: S) -> Self {
        let place = Place { name: name.into(), priority: 1, weight: NonZeroU32::MIN, admits: None };
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
