use std::time::Duration;

/// When an issuer is asked for its keys, and for how long they are used.
///
/// A set is asked for anew when between eight and nine tenths of its lifetime are over, at random, so that many who
/// started together do not ask together.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; zero is an error but where
/// it says what it means.
///
/// ```toml
/// lifetime = "10m"             # of a set whose issuer does not say
/// shortest_lifetime = "1m"     # whatever the issuer says
/// longest_lifetime = "1h"      # likewise; never below the shortest
/// max_stale = "24h"            # age of the last good set while its issuer cannot be asked; never below its lifetime
/// time_limit = "5s"            # for asking, discovery included
/// max_bytes = 65536            # of a document
/// unknown_kid_interval = "30s" # between two times that an unknown `kid` makes the layer ask; at zero each does
/// first_backoff = "1s"         # after a failed attempt
/// longest_backoff = "1m"       # after many
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until an issuer has it"]
pub struct RefreshPolicy {
    /// Of a set whose issuer does not say.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read_some_time"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) lifetime: Duration,
    /// Whatever the issuer says.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "shortest_lifetime", deserialize_with = "crate::duration::read_some_time")
    )]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) shortest: Duration,
    /// Whatever the issuer says; never below the shortest.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "longest_lifetime", deserialize_with = "crate::duration::read_some_time")
    )]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) longest: Duration,
    /// The age of the last good set while its issuer cannot be asked.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) max_stale: Duration,
    /// For asking, discovery included.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read_some_time"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) time_limit: Duration,
    /// Of a document.
    pub(crate) max_bytes: usize,
    /// Between two times that an unknown `kid` makes the layer ask; at zero each does.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) unknown_kid_interval: Duration,
    /// After a failed attempt.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read_some_time"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) first_backoff: Duration,
    /// After many.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read_some_time"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
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
