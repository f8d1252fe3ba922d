use std::time::Duration;

/// When an issuer is asked for its keys, and for how long they are used.
///
/// A set is asked for anew when between eight and nine tenths of its lifetime are over, at random, so that many who
/// started together do not ask together.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a policy does nothing until an issuer has it"]
pub struct RefreshPolicy {
    pub(crate) lifetime: Duration,
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    pub(crate) max_stale: Duration,
    pub(crate) time_limit: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) unknown_kid_interval: Duration,
    pub(crate) first_backoff: Duration,
    pub(crate) longest_backoff: Duration,
}

impl RefreshPolicy {
    /// What each verb says to be the default.
    pub const fn new() -> Self {
        Self {
            lifetime: Duration::from_secs(10 * 60),
            shortest: Duration::from_secs(60),
            longest: Duration::from_secs(60 * 60),
            max_stale: Duration::from_secs(24 * 60 * 60),
            time_limit: Duration::from_secs(5),
            max_bytes: 64 * 1024,
            unknown_kid_interval: Duration::from_secs(30),
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(60),
        }
    }

    /// How long a set lives whose issuer does not say (`Cache-Control: max-age`). 10 minutes.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The shortest and the longest lifetime, whatever the issuer says. 1 minute and 1 hour.
    ///
    /// A key that its issuer withdraws is believed for up to the longest.
    pub const fn lifetime_between(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest;
        self.longest = longest;
        self
    }

    /// How old the last good set may be while its issuer cannot be asked. 24 hours, and never less than its lifetime.
    pub const fn max_stale(mut self, age: Duration) -> Self {
        self.max_stale = age;
        self
    }

    /// How long asking may take in all, discovery included, and so the longest that a request waits for. 5 seconds.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How long a document may be. 64 KiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How often tokens with an unknown `kid` may make the layer ask. Every 30 seconds.
    ///
    /// In between, such a token is refused at once. At zero each of them asks, as fast as the issuer answers.
    pub const fn unknown_kid_interval(mut self, interval: Duration) -> Self {
        self.unknown_kid_interval = interval;
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
