use std::time::Duration;

/// When a provider is asked for credentials again.
///
/// Credentials that expire are asked for again ahead of their end, those that do not once in an interval, so that a
/// file or a vault may change under them. Both is spread at random, so that many who started together do not ask
/// together.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a policy does nothing until a layer has it"]
pub struct RefreshPolicy {
    pub(crate) ahead: Duration,
    pub(crate) interval: Duration,
    pub(crate) time_limit: Duration,
    pub(crate) first_backoff: Duration,
    pub(crate) longest_backoff: Duration,
}

impl RefreshPolicy {
    /// What each verb says to be the default.
    pub const fn new() -> Self {
        Self {
            ahead: Duration::from_secs(60),
            interval: Duration::from_secs(60),
            time_limit: Duration::from_secs(5),
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(60),
        }
    }

    /// How long before they expire credentials are asked for again, at the latest; at random up to twice as long before.
    /// 1 minute.
    ///
    /// Credentials that come with less than four times that are asked for again halfway.
    pub const fn ahead(mut self, ahead: Duration) -> Self {
        self.ahead = ahead;
        self
    }

    /// How often a provider is asked whose credentials do not expire, at the most; at random up to a tenth later. 1 minute.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long a provider may take, and so the longest that a request waits for it. 5 seconds.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How long a failed attempt is followed by none: `first` after the first, twice as long after each further one, up
    /// to `longest`; half of it at random. 1 second and 1 minute.
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first_backoff = first;
        self.longest_backoff = longest;
        self
    }
}

/// The same as [`RefreshPolicy::new`].
impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::new()
    }
}
