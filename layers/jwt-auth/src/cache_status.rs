use std::iter::Sum;

/// What the cache of verified tokens holds, and what has come of it since the layer was built, at one moment.
///
/// All numbers are zero where the cache is off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheStatus {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) evictions: u64,
}

impl CacheStatus {
    /// How many tokens are remembered. Those that have expired are among them until they come again or have to go.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// What they weigh, in bytes; the tables that they stand in are not counted.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many tokens came that were remembered.
    #[must_use]
    pub const fn hits(&self) -> u64 {
        self.hits
    }

    /// How many tokens came that were not, valid or not.
    #[must_use]
    pub const fn misses(&self) -> u64 {
        self.misses
    }

    /// How many tokens were forgotten to make room for others.
    #[must_use]
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }
}

impl Sum for CacheStatus {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            entries: sum.entries + part.entries,
            bytes: sum.bytes + part.bytes,
            hits: sum.hits + part.hits,
            misses: sum.misses + part.misses,
            evictions: sum.evictions + part.evictions,
        })
    }
}
