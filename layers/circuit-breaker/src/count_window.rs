//! The last calls, however long ago.

use crate::calls::{Call, Totals};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A ring of two bits for each call: whether it failed, and whether it was slow.
///
/// Whoever changes a call's bits changes the sums by the same amount, so that they agree with the ring again as soon as
/// nobody writes.
pub(crate) struct CountWindow {
    size: u64,
    turn: AtomicU64,
    /// The turn from which on calls count.
    since: AtomicU64,
    failed: AtomicU32,
    slow: AtomicU32,
    ring: Box<[AtomicU64]>,
}

impl CountWindow {
    pub(crate) fn new(size: u32) -> Self {
        let words = size.div_ceil(PER_WORD);
        Self {
            size: size.into(),
            turn: AtomicU64::new(0),
            since: AtomicU64::new(0),
            failed: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            ring: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn record(&self, call: Call) {
        let place = self.turn.fetch_add(1, Ordering::Relaxed) % self.size;
        let (word, shift) = (place / u64::from(PER_WORD), place % u64::from(PER_WORD) * 2);
        let word = usize::try_from(word).ok().and_then(|word| self.ring.get(word));
        let Some(word) = word else { return };

        let bits = (u64::from(call.failed) * FAILED) | (u64::from(call.slow) * SLOW);
        let mut before = word.load(Ordering::Relaxed);
        // Most often a success takes the place of another: then nothing is written.
        while before >> shift & BOTH != bits {
            let after = before & !(BOTH << shift) | bits << shift;
            match word.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => before = now,
            }
        }
        let left = before >> shift & BOTH;
        shift_sum(&self.failed, left & FAILED != 0, call.failed);
        shift_sum(&self.slow, left & SLOW != 0, call.slow);
    }

    pub(crate) fn totals(&self) -> Totals {
        // Read after the sums, which whoever counted has changed after taking a turn: no failure is seen without its call.
        let failed = self.failed.load(Ordering::Acquire);
        let slow = self.slow.load(Ordering::Acquire);
        let since = self.since.load(Ordering::Relaxed);
        let calls = self.turn.load(Ordering::Relaxed).saturating_sub(since).min(self.size);
        Totals { calls: u32::try_from(calls).unwrap_or(u32::MAX), failed, slow }
    }

    pub(crate) fn clear(&self) {
        self.since.store(self.turn.load(Ordering::Relaxed), Ordering::Relaxed);
        for word in &self.ring {
            let before = word.swap(0, Ordering::Relaxed);
            self.failed.fetch_sub((before & EVERY_FAILED).count_ones(), Ordering::AcqRel);
            self.slow.fetch_sub((before & EVERY_FAILED << 1).count_ones(), Ordering::AcqRel);
        }
    }
}

/// Changes a sum in which one call replaces another.
fn shift_sum(sum: &AtomicU32, left: bool, came: bool) {
    // Released with the turn that was taken before, for who reads the sum.
    match (left, came) {
        (false, true) => sum.fetch_add(1, Ordering::AcqRel),
        (true, false) => sum.fetch_sub(1, Ordering::AcqRel),
        (true, true) | (false, false) => return,
    };
}

const PER_WORD: u32 = 32;
const FAILED: u64 = 0b01;
const SLOW: u64 = 0b10;
const BOTH: u64 = FAILED | SLOW;
const EVERY_FAILED: u64 = 0x5555_5555_5555_5555;
