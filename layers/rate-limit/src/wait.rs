use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::ledger::Ledger;

/// Lets what exceeds a limit wait, instead of refusing it at once.
///
/// Who waits has its place already, and its turn at a known time: in the order of arrival, and without asking again. Who
/// leaves meanwhile has spent it all the same.
///
/// # Configuration
///
/// ```toml
/// wait = { longest = "250ms", waiters = 64 }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "it does nothing until a policy has it"]
pub struct Wait {
    /// The most that a request waits.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::duration"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    longest: Duration,
    /// How many wait at once.
    waiters: NonZeroUsize,
}

impl Wait {
    /// For up to `longest`, and no more than `waiters` at once: a request that would wait longer, or be one more, is
    /// refused. At a `longest` of zero nothing waits.
    pub const fn new(longest: Duration, waiters: NonZeroUsize) -> Self {
        Self { longest, waiters }
    }

    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }
}

/// How many requests wait.
#[derive(Debug, Default)]
pub(crate) struct Waiters(AtomicUsize);

/// One of them; dropped, it does no longer.
pub(crate) struct Waiter(Arc<Ledger>);

impl Waiters {
    pub(crate) fn len(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Waiter {
    /// None if there are as many as there may be.
    pub(crate) fn enter(ledger: &Arc<Ledger>, wait: &Wait) -> Option<Self> {
        let more = |waiting| (waiting < wait.waiters.get()).then_some(waiting + 1);
        // A count and nothing else: nobody reads what others wrote before.
        ledger.waiters.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        ledger.meter.waits();
        Some(Self(ledger.clone()))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiters.0.fetch_sub(1, Ordering::Relaxed);
        self.0.meter.waits_no_longer();
    }
}
