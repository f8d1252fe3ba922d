use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::{Adaptive, InvalidPolicy};

/// How many requests may be under way, and what becomes of one more.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key but `limit` may be left out; an unknown one is
/// an error.
///
/// ```toml
/// [concurrency_limit]
/// limit = 100
/// retry_after = "1s" # default
/// keys = 65536       # default; of a limit for each key
/// queue = { most = 50, longest = "500ms", order = "fifo" } # by default, there is none; "fifo" is, if there is one
/// ```
///
/// A limit that adapts is written as a table:
///
/// ```toml
/// [concurrency_limit]
/// limit = { min = 10, max = 500, latency = "250ms" }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct ConcurrencyPolicy {
    /// How many requests may be under way: a number, or bounds between which it adapts.
    #[cfg_attr(feature = "schema", schemars(with = "crate::section::LimitSection"))]
    pub(crate) limit: Limit,
    /// Where requests wait for a place; none does when left out.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) queue: Option<Queue>,
    /// When who is refused is told to come back. 1 s.
    #[cfg_attr(feature = "serde", serde(default = "usual_retry_after"))]
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::duration"))]
    #[cfg_attr(feature = "schema", serde(serialize_with = "crate::schema::write"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    pub(crate) retry_after: Duration,
    /// For how many keys at once there are limits of their own, if there is one for each; further ones share one. 65536.
    #[cfg_attr(feature = "serde", serde(default = "usual_keys"))]
    pub(crate) keys: NonZeroUsize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::LimitSection"))]
pub(crate) enum Limit {
    Fixed(NonZeroU32),
    Adaptive(Adaptive),
}

/// Where requests wait for a place.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "a queue does nothing until a policy has it"]
pub struct Queue {
    /// How many wait at once.
    pub(crate) most: NonZeroU32,
    /// The most that a request waits.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::duration"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    pub(crate) longest: Duration,
    /// Whose turn it is when there is a place.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) order: Order,
}

/// Whose turn it is when there is a place.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "a queue has two ends")]
pub enum Order {
    /// Who has waited longest.
    #[default]
    Fifo,
    /// Who came last: under overload some are served in time, where otherwise all would be late.
    Lifo,
}

impl ConcurrencyPolicy {
    /// Allows so many requests at once, and refuses any other.
    pub const fn fixed(limit: NonZeroU32) -> Self {
        Self::new(Limit::Fixed(limit))
    }

    /// Finds out how many requests the service can do with.
    pub const fn adaptive(adaptive: Adaptive) -> Self {
        Self::new(Limit::Adaptive(adaptive))
    }

    const fn new(limit: Limit) -> Self {
        Self { limit, queue: None, retry_after: RETRY_AFTER, keys: USUAL_KEYS }
    }

    /// Lets requests wait for a place.
    pub const fn queue(mut self, queue: Queue) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Tells who is refused to come back after `wait`, in whole seconds, rounded up: one by default.
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    /// Has limits for up to about `most` keys at once, where there is one for each: 65,536 by default. Further keys share
    /// one.
    pub const fn keys(mut self, most: NonZeroUsize) -> Self {
        self.keys = most;
        self
    }
}

impl Queue {
    /// Up to `most` requests wait, for no longer than `longest`, and the first comes first.
    ///
    /// One that finds the queue full is refused at once, one that has waited too long when it has.
    ///
    /// # Errors
    ///
    /// When the time is zero.
    pub const fn new(most: NonZeroU32, longest: Duration) -> Result<Self, InvalidPolicy> {
        if longest.is_zero() {
            return Err(InvalidPolicy::TooShort("the longest wait"));
        }
        Ok(Self { most, longest, order: Order::Fifo })
    }

    /// Gives places in another order.
    pub const fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

#[cfg(feature = "serde")]
const fn usual_retry_after() -> Duration {
    RETRY_AFTER
}

#[cfg(feature = "serde")]
const fn usual_keys() -> NonZeroUsize {
    USUAL_KEYS
}

const USUAL_KEYS: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("not zero");
const RETRY_AFTER: Duration = Duration::from_secs(1);
