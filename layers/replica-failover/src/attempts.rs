use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::Reason;

/// Which replicas a request went to: found in the extensions of a response before which something failed, for which there were
/// several attempts, or which is none of a replica; and of every response after
/// [`ReplicaFailoverLayer::tell_always`](crate::ReplicaFailoverLayer::tell_always).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempts {
    served_by: Option<Arc<str>>,
    count: u32,
    trail: Arc<[Attempt]>,
}

impl Attempts {
    pub(crate) const fn new(
        served_by: Option<Arc<str>>,
        count: u32,
        trail: Arc<[Attempt]>,
    ) -> Self {
        Self { served_by, count, trail }
    }

    /// The replica whose response this is; none, if it is none of a replica.
    #[must_use]
    pub fn served_by(&self) -> Option<&str> {
        self.served_by.as_deref()
    }

    /// How many attempts were made, hedges among them; what a layer in front of a replica refused unsent is none.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// What failed before, in order, with those that refused it unsent.
    #[must_use]
    pub fn trail(&self) -> &[Attempt] {
        &self.trail
    }
}

/// One attempt that did not end in the response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    replica: Arc<str>,
    reason: Reason,
    took: Duration,
}

impl Attempt {
    pub(crate) const fn new(replica: Arc<str>, reason: Reason, took: Duration) -> Self {
        Self { replica, reason, took }
    }

    /// The replica's name.
    #[must_use]
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// Why it failed.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The status of its response, if that is why it failed.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.reason.status()
    }

    /// How long it took.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} ms)", self.replica, self.reason, self.took.as_millis())
    }
}
