use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::sync::Notify;

/// How often the client of one HTTP/2 connection cancelled what it asked for.
///
/// To ask and cancel at once costs a client nothing and the gateway a request, and keeps below any limit of streams
/// (CVE-2023-44487).
#[derive(Debug)]
pub(super) struct Resets {
    most: u32,
    begun: AtomicU32,
    cancelled: AtomicU32,
    exceeded: Notify,
}

impl Resets {
    pub(super) fn new(most: u32) -> Self {
        let (begun, cancelled) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { most, begun, cancelled, exceeded: Notify::new() }
    }

    /// A request has come; it is cancelled if this is dropped before it is answered.
    pub(super) fn begin(self: &Arc<Self>) -> Unanswered {
        // All is written by tasks of one thread.
        self.begun.store(self.begun.load(Relaxed).saturating_add(1), Relaxed);
        Unanswered(Some(self.clone()))
    }

    /// Waits until there are too many.
    pub(super) async fn exceeded(&self) {
        self.exceeded.notified().await;
    }

    fn cancel(&self) {
        let cancelled = self.cancelled.load(Relaxed).saturating_add(1);
        self.cancelled.store(cancelled, Relaxed);
        if is_flood(self.begun.load(Relaxed), cancelled, self.most) {
            self.exceeded.notify_one();
        }
    }
}

/// Whether more requests were cancelled than may be, and more than half of all.
const fn is_flood(begun: u32, cancelled: u32, most: u32) -> bool {
    cancelled > most && cancelled > begun / 2
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Unanswered(Option<Arc<Resets>>);

impl Unanswered {
    /// There is an answer.
    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(resets) = self.0.take() {
            resets.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    #[test]
    fn a_few_that_are_cancelled_are_no_flood_and_neither_is_a_small_part() {
        assert!(!is_flood(10, 10, 10));
        assert!(is_flood(11, 11, 10));
        assert!(!is_flood(22, 11, 10));
        assert!(is_flood(21, 11, 10));
    }

    #[test]
    fn only_what_is_dropped_unanswered_counts() {
        let resets = Arc::new(Resets::new(1));
        let mut exceeded = task::spawn(resets.exceeded());

        resets.begin().answered();
        drop(resets.begin());
        drop(resets.begin());
        // Two of three: more than one, and more than half.
        assert_ready!(exceeded.poll());

        let resets = Arc::new(Resets::new(1));
        let mut exceeded = task::spawn(resets.exceeded());
        drop(resets.begin());
        resets.begin().answered();
        assert_pending!(exceeded.poll());
    }
}
