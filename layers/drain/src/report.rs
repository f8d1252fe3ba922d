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

    /// How many requests ended between the signal and the report, by whatever end: the last byte, an error, or a client
    /// that left.
    #[must_use]
    pub const fn completed(&self) -> usize {
        self.completed
    }

    /// The requests that were still in flight and are given up, in no particular order; empty if all ended in time.
    #[must_use]
    pub fn cut(&self) -> &[Cut] {
        &self.cut
    }
}

/// A request that was still in flight when the time was up.
#[derive(Clone, Debug)]
pub struct Cut {
    method: Method,
    path: String,
    age: Duration,
}

impl Cut {
    pub(crate) const fn new(method: Method, path: String, age: Duration) -> Self {
        Self { method, path, age }
    }

    /// Its method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, without the query, which may hold secrets; empty for `CONNECT`, which has none.
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
