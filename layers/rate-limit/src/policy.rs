use std::num::NonZeroUsize;
use std::time::Duration;

use crate::{Quota, Wait};

/// What a limit does: the part of it that a configuration file says.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key but `quota` may be left out; an unknown one
/// is an error.
///
/// ```toml
/// [limit.client]
/// quota = "100/s burst 20"
/// keys = 65536          # default
/// missing_key = "share" # default; or "allow", "refuse"
/// mode = "enforce"      # default; or "shadow"
/// headers = "refusals"  # default; or "always", "never"
/// wait = { longest = "250ms", waiters = 64 } # by default nothing waits
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "a policy does nothing until a limit applies it"]
pub struct LimitPolicy {
    /// How much is allowed to each key.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::quota"))]
    pub(crate) quota: Quota,
    /// How many keys have an allowance of their own at once; memory is taken for so many, and never for more. 65536.
    #[cfg_attr(feature = "serde", serde(default = "usual_keys"))]
    pub(crate) keys: NonZeroUsize,
    /// What becomes of a request without a key.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) missing_key: MissingKey,
    /// Whether it refuses, or only counts.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) mode: Mode,
    /// Which responses say where the client stands.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) headers: Headers,
    /// Lets requests wait that are too early by little; none when left out.
    pub(crate) wait: Option<Wait>,
}

/// What becomes of a request without a key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MissingKey {
    /// All of them share one allowance.
    #[default]
    Share,
    /// It is let through, as far as this limit is concerned.
    Allow,
    /// It is refused, with `400`.
    Refuse,
}

/// Whether a limit is meant.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Mode {
    /// What exceeds it is refused.
    #[default]
    Enforce,
    /// What exceeds it is counted and let through, to see what it would do.
    Shadow,
}

/// Which responses have the fields `RateLimit-Policy` and `RateLimit`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Headers {
    /// Those that it refuses.
    #[default]
    Refusals,
    /// All: of the limits that say so the one that has the least left.
    Always,
    /// None. A refusal still has `Retry-After`.
    Never,
}

impl LimitPolicy {
    /// Enforces `quota`, for up to 65,536 keys at once, and one allowance for all requests without a key.
    pub const fn new(quota: Quota) -> Self {
        Self {
            quota,
            keys: USUAL_KEYS,
            missing_key: MissingKey::Share,
            mode: Mode::Enforce,
            headers: Headers::Refusals,
            wait: None,
        }
    }

    /// Keeps the allowances of so many keys at once, rounded up to a multiple of eight, in 18 bytes each.
    ///
    /// The memory is taken when the limit is made, and never more. A key has a place until its allowance is whole again;
    /// one that finds no place among the eight that its hash names shares an allowance with others like it. Hashes are
    /// spread at random, so that some share before all places are taken: twice as many as are expected is a good number.
    pub const fn keys(mut self, most: NonZeroUsize) -> Self {
        self.keys = most;
        self
    }

    /// Decides about requests without a key.
    pub const fn missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Enforces it, or does not.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Says where clients stand on other responses than refusals, too, or on none.
    pub const fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Lets requests wait that are not too early by much. By default none does.
    ///
    /// Outside of a Tokio runtime with its timer enabled, waiting panics.
    pub const fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How much is allowed to each key.
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// For how long a request may wait.
    pub(crate) fn patience(&self) -> Duration {
        self.wait.map_or(Duration::ZERO, |wait| wait.longest())
    }
}

impl From<Quota> for LimitPolicy {
    fn from(quota: Quota) -> Self {
        Self::new(quota)
    }
}

#[cfg(feature = "serde")]
const fn usual_keys() -> NonZeroUsize {
    USUAL_KEYS
}

const USUAL_KEYS: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("not zero");
