/// How many retries there may be.
///
/// It bounds the retries that go to a replica which has itself failed lately: those of a single request must not become a
/// storm when all replicas fail. Leaving a replica that failed for one with a clean record is free. A
/// [`Hedge`](crate::Hedge) costs one wherever it goes.
///
/// The larger of two rates is allowed: a `share` of the requests, in percent, and a number `per_second` that few
/// requests may have, too. Up to ten seconds of the latter are kept for the moment when failures begin, at most a thousand,
/// at least one. At `0` and `0` no such retry is made.
///
/// ```toml
/// budget = { share = 20, per_second = 10 } # default
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct RetryBudget {
    share: u8,
    per_second: u32,
}

impl RetryBudget {
    /// Allows retries for `share` percent of the requests, or `per_second` of them if that is more.
    #[must_use]
    pub const fn new(share: u8, per_second: u32) -> Self {
        Self { share, per_second }
    }

    pub(crate) const fn share(self) -> u8 {
        self.share
    }

    pub(crate) const fn least_per_second(self) -> u32 {
        self.per_second
    }
}

/// A fifth of the requests, or 10 a second.
impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(20, 10)
    }
}
