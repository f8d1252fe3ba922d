//! The calls of the last while.

use std::time::Duration;

use crate::calls::{Call, Totals};
use crate::sync::{AtomicU64, Ordering};

/// Ten buckets, used in turn, so that a call costs the same however many there are.
pub(crate) struct TimeWindow {
    bucket: u64,
    /// The last time whose bucket was looked for, in buckets: most often it is still that, and by this nobody has to wait for
    /// the clock and a division before the bucket is known.
    known: AtomicU64,
    buckets: [Bucket; BUCKETS],
}

#[derive(Default)]
struct Bucket {
    calls: Tally,
    failed: Tally,
    slow: Tally,
}

/// A number that knows which time it is of, and starts anew for a later one.
#[derive(Default)]
struct Tally(AtomicU64);

impl TimeWindow {
    pub(crate) fn new(time: Duration) -> Self {
        let bucket = time.as_millis().div_ceil(BUCKETS as u128);
        Self {
            bucket: u64::try_from(bucket).unwrap_or(u64::MAX).max(1),
            known: AtomicU64::new(0),
            buckets: Default::default(),
        }
    }

    /// Counts a call that ended at `now`, in milliseconds.
    pub(crate) fn record(&self, call: Call, now: u64) {
        let epoch = self.epoch(now);
        let Some(bucket) = self.buckets.get(epoch as usize % BUCKETS) else { return };
        // First, so that no failure is seen without its call.
        bucket.calls.count(epoch);
        if call.failed {
            bucket.failed.count(epoch);
        }
        if call.slow {
            bucket.slow.count(epoch);
        }
    }

    pub(crate) fn totals(&self, now: u64) -> Totals {
        let epoch = self.epoch(now);
        self.buckets.iter().fold(Totals::default(), |totals, bucket| {
            let failed = bucket.failed.within(epoch);
            let slow = bucket.slow.within(epoch);
            Totals {
                calls: totals.calls.saturating_add(bucket.calls.within(epoch)),
                failed: totals.failed.saturating_add(failed),
                slow: totals.slow.saturating_add(slow),
            }
        })
    }

    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            for tally in [&bucket.calls, &bucket.failed, &bucket.slow] {
                tally.0.store(0, Ordering::Relaxed);
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "it wraps, and is compared accordingly")]
    fn epoch(&self, now: u64) -> u32 {
        // Relaxed: whatever is read is held against the time, and nothing else is read by it.
        let mut count = self.known.load(Ordering::Relaxed);
        let since = now.checked_sub(count.wrapping_mul(self.bucket));
        if since.is_none_or(|since| since >= self.bucket) {
            count = self.count_anew(now);
        }
        // The first is 1, since 0 is what an empty tally is of.
        (count as u32).wrapping_add(1)
    }

    #[cold]
    fn count_anew(&self, now: u64) -> u64 {
        let count = now / self.bucket;
        self.known.store(count, Ordering::Relaxed);
        count
    }
}

impl Tally {
    /// Adds one at `epoch`; whoever comes too late for the bucket is not counted.
    fn count(&self, epoch: u32) {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let (counted, count) = parts(before);
            let count = match epoch.wrapping_sub(counted) {
                0 => count.saturating_add(1),
                ahead if ahead < u32::MAX / 2 => 1,
                _ => return,
            };
            let after = u64::from(epoch) << 32 | u64::from(count);
            // Released with what was counted before, for who reads it.
            match self.0.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    /// The number, if it is of one of the last epochs.
    fn within(&self, epoch: u32) -> u32 {
        let (counted, count) = parts(self.0.load(Ordering::Acquire));
        let age = epoch.wrapping_sub(counted);
        if (age as usize) < BUCKETS { count } else { 0 }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
const fn parts(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

const BUCKETS: usize = 10;

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bucket_is_that_of_the_time_whichever_was_known_before(
            time in 10..100_000_u64,
            times in prop::collection::vec((prop_oneof![0..5_u64, any::<u64>()], 0..3_u64), 1..20),
        ) {
            let window = TimeWindow::new(Duration::from_millis(time));
            for (count, off) in times {
                // Right before the bucket, at its start, and after.
                let now = count.saturating_mul(window.bucket).saturating_add(off).saturating_sub(1);
                #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
                let counted = (now / window.bucket) as u32;
                prop_assert_eq!(window.epoch(now), counted.wrapping_add(1));
            }
        }
    }
}
