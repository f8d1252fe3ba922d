use std::time::Duration;

/// How much of verified tokens is remembered, and for how long.
///
/// A remembered token is not verified again while its key is trusted; that it has not expired, and the policy's rules,
/// are checked whenever it comes. What was refused is not remembered.
///
/// # Configuration
///
/// Every key may be left out; a zero turns the cache off.
///
/// ```toml
/// [cache]
/// max_entries = 10_000
/// max_bytes = 16_777_216 # tokens, claims, and what holds them
/// max_ttl = "5m"
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "limits do nothing until a policy has them"]
pub struct CacheLimits {
    /// How many tokens; at zero none are remembered.
    max_entries: usize,
    /// Of tokens, claims, and what holds them.
    max_bytes: usize,
    /// How long a token is remembered at most.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    max_ttl: Duration,
}

impl CacheLimits {
    /// 10,000 tokens in 16 MiB, for 5 minutes.
    pub const fn new() -> Self {
        Self {
            max_entries: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_ttl: Duration::from_secs(5 * 60),
        }
    }

    /// Remembers nothing.
    pub const fn off() -> Self {
        Self { max_entries: 0, ..Self::new() }
    }

    /// The most tokens; at zero none is remembered.
    ///
    /// They are spread over up to 64 shards, so that a few less may be remembered when the limit is reached.
    pub const fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// The most memory in bytes, as asked of the allocator: a kilobyte for a small token, and about a hundred times as
    /// much as a token made to be large. At zero none is remembered.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a signature counts as checked; at zero not at all.
    pub const fn max_ttl(mut self, ttl: Duration) -> Self {
        self.max_ttl = ttl;
        self
    }

    pub(crate) const fn entries(&self) -> usize {
        self.max_entries
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.max_bytes
    }

    pub(crate) const fn ttl(&self) -> Duration {
        self.max_ttl
    }
}

/// The same as [`CacheLimits::new`].
impl Default for CacheLimits {
    fn default() -> Self {
        Self::new()
    }
}
