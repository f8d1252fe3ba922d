use std::sync::Arc;
use std::time::Duration;

use http::Method;

/// What came of a shutdown.
///
/// It is taken once, when the deadline passes or nothing is in flight any more, and does not change afterwards.
#[derive(Clone, Debug)]
pub struct Report {
    completed: usize,
    cut: Arc<[Cut]>,
}

impl Report {
    pub(crate) const fn new(completed: usize, cut: Arc<[Cut]>) -> Self {
        Self { completed, cut }
    }

    /// How many requests, tunnels and tasks ended between the signal and the report, by whatever end: the last byte, an error, or a client
    /// that left.
    #[must_use]
    pub const fn completed(&self) -> usize {
        self.completed
    }

    /// What was still in flight and is given up, in no particular order; empty if all ended in time.
    #[must_use]
    pub fn cut(&self) -> &[Cut] {
        &self.cut
    }
}

/// What was still in flight when the time was up.
#[derive(Clone, Debug)]
pub struct Cut {
    kind: Kind,
    method: Option<Method>,
    path: String,
    age: Duration,
}

/// What can be in flight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A request that is not answered to its last byte.
    Request,
    /// A connection, or a stream of one, that has become something else.
    Tunnel,
    /// What [`DrainHandle::track`](crate::DrainHandle::track) was given.
    Task,
}

impl Kind {
    /// The name, fit for a log or a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Tunnel => "tunnel",
            Self::Task => "task",
        }
    }
}

impl Cut {
    pub(crate) const fn new(
        kind: Kind,
        method: Option<Method>,
        path: String,
        age: Duration,
    ) -> Self {
        Self { kind, method, path, age }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The method of the request; none of a task.
    #[must_use]
    pub const fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The path of the request, without the query, which may hold secrets: empty for `CONNECT` to an authority, which has
    /// none. Of a task the name that it was given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How long it had been in flight.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }
}
