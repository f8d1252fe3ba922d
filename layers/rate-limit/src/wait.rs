use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Lets what exceeds a limit wait, instead of refusing it at once.
///
/// Who waits has its place already, and its turn at a known time: in the order of arrival, and without asking again. Who
/// leaves meanwhile has spent it all the same.
///
/// # Configuration
///
/// ```toml
/// [wait]
/// longest = "250ms"
/// waiters = 64
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "it does nothing until a layer applies it"]
pub struct Wait {
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::duration"))]
    longest: Duration,
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

/// The requests that wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<AtomicUsize>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Waiter(Waiters);

impl Waiters {
    pub(crate) fn len(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// None if there are as many as there may be.
    pub(crate) fn enter(&self, wait: &Wait) -> Option<Waiter> {
        let more = |waiting| (waiting < wait.waiters.get()).then_some(waiting + 1);
        // A count and nothing else: nobody reads what others wrote before.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Waiter(self.clone()))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
