//! The calls that a closed circuit is judged by.

use crate::count_window::CountWindow;
use crate::sync::{AtomicU32, Ordering};
use crate::time_window::TimeWindow;
use crate::window::Span;
use crate::{Cause, CircuitBreakerPolicy};

/// A call that is over, and counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What is in the window.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Totals {
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

/// On cache lines of its own: it is written by every call, and what stands beside it is only read.
#[repr(align(128))]
pub(crate) struct Calls {
    window: Calendar,
    failures_in_a_row: AtomicU32,
}

#[expect(
    clippy::large_enum_variant,
    reason = "each circuit has one, and a window elsewhere is another line to be fetched"
)]
enum Calendar {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Calls {
    pub(crate) fn new(span: &Span) -> Self {
        let window = match *span {
            Span::Calls(calls) => Calendar::Count(CountWindow::new(calls)),
            Span::Time(time) => Calendar::Time(TimeWindow::new(time)),
        };
        Self { window, failures_in_a_row: AtomicU32::new(0) }
    }

    /// Counts a call. The clock is asked only by a window of time.
    pub(crate) fn record(&self, call: Call, now: impl FnOnce() -> u64) {
        match &self.window {
            Calendar::Count(window) => window.record(call),
            Calendar::Time(window) => window.record(call, now()),
        }
        if call.failed {
            self.failures_in_a_row.fetch_add(1, Ordering::Relaxed);
        } else if self.failures_in_a_row() != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Why the circuit should open, if it should.
    pub(crate) fn judge(&self, policy: &CircuitBreakerPolicy, now: u64) -> Option<Cause> {
        let most = policy.consecutive_failures.map_or(u32::MAX, u32::from);
        if self.failures_in_a_row() >= most {
            return Some(Cause::ConsecutiveFailures);
        }
        let Totals { calls, failed, slow } = self.totals(now);
        if calls < policy.window.minimum_calls {
            return None;
        }
        if policy.failure_rate.is_met(failed, calls) {
            return Some(Cause::FailureRate);
        }
        let slow_rate = policy.slow_calls.as_ref().map(|slow_calls| slow_calls.rate);
        slow_rate.is_some_and(|rate| rate.is_met(slow, calls)).then_some(Cause::SlowCalls)
    }

    pub(crate) fn totals(&self, now: u64) -> Totals {
        match &self.window {
            Calendar::Count(window) => window.totals(),
            Calendar::Time(window) => window.totals(now),
        }
    }

    pub(crate) fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        match &self.window {
            Calendar::Count(window) => window.clear(),
            Calendar::Time(window) => window.clear(),
        }
        self.failures_in_a_row.store(0, Ordering::Relaxed);
    }
}
