//! How long recent requests took, to tell an ordinary wait from a long one.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::moment::Moment;

/// Two histograms, each of which is filled for a while in turn, so that what is old is forgotten.
///
/// All of it is hints: a sample that comes while a histogram begins anew may be lost, and every ordering is relaxed. To
/// record one is an addition; the percentile is taken at most every tenth of a second.
pub(crate) struct Recent {
    halves: [Half; 2],
    /// The last percentile in microseconds, zero for none, below the time it was taken: see [`pack`].
    known: AtomicU64,
}

struct Half {
    /// Which of all half windows this is of, counted from one.
    turn: AtomicU32,
    counts: [AtomicU32; BUCKETS],
}

impl Recent {
    pub(crate) fn new() -> Self {
        let half =
            || Half { turn: AtomicU32::new(0), counts: [const { AtomicU32::new(0) }; BUCKETS] };
        Self { halves: [half(), half()], known: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, took: Duration, now: Moment) {
        let turn = turn(now);
        let half = if turn % 2 == 0 { &self.halves[0] } else { &self.halves[1] };
        let count = half.counts.get(bucket(took));
        if let Some(count) = count.filter(|_| half.begin(turn)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The time in which so many percent were done, of at least so many; up to an eighth too long, and never too short.
    pub(crate) fn percentile(&self, percent: u8, samples: u32, now: Moment) -> Option<Duration> {
        let (taken, micros) = halves(self.known.load(Ordering::Relaxed));
        let tenths = tenths(now);
        let micros = if taken == tenths {
            micros
        } else {
            let micros = self.take(percent, samples, turn(now));
            self.known.store(pack(tenths, micros), Ordering::Relaxed);
            micros
        };
        (micros != 0).then(|| Duration::from_micros(micros.into()))
    }

    fn take(&self, percent: u8, samples: u32, turn: u32) -> u32 {
        let count = |bucket: usize| {
            let in_view = self.halves.iter().filter(|half| half.is_in_view(turn));
            let counts = in_view.filter_map(|half| half.counts.get(bucket));
            counts.map(|count| u64::from(count.load(Ordering::Relaxed))).sum::<u64>()
        };
        let total: u64 = (0..BUCKETS).map(count).sum();
        if total < u64::from(samples) {
            return 0;
        }
        let rank = (total * u64::from(percent)).div_ceil(100);
        let mut seen = 0;
        let reached = (0..BUCKETS).find(|bucket| {
            seen += count(*bucket);
            seen >= rank
        });
        reached.map_or(0, end)
    }
}

impl Half {
    /// Starts anew for a later turn, and tells whether it is this one's.
    fn begin(&self, turn: u32) -> bool {
        let before = self.turn.load(Ordering::Relaxed);
        if before == turn {
            return true;
        }
        let exchange =
            |turn| self.turn.compare_exchange(before, turn, Ordering::Relaxed, Ordering::Relaxed);
        if before < turn && exchange(turn).is_ok() {
            self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        }
        before < turn
    }

    fn is_in_view(&self, turn: u32) -> bool {
        let age = turn.checked_sub(self.turn.load(Ordering::Relaxed));
        age.is_some_and(|age| age <= 1 && age != turn)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}

/// Eight buckets for each doubling, from a microsecond on.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let doublings = micros.checked_ilog2().unwrap_or(0);
    let bucket = match doublings.checked_sub(3) {
        None => micros,
        Some(shift) => u64::from(shift) * 8 + (micros >> shift),
    };
    usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The first microsecond that is not in a bucket.
fn end(bucket: usize) -> u32 {
    let next = u32::try_from(bucket).unwrap_or(u32::MAX).saturating_add(1);
    let shift = (next / 8).saturating_sub(1);
    (next - shift * 8).checked_shl(shift).unwrap_or(u32::MAX)
}

fn turn(now: Moment) -> u32 {
    u32::try_from(now.bits() / HALF_WINDOW).unwrap_or(u32::MAX - 1) + 1
}

/// Modulo 2³², and never zero, which stands for never.
fn tenths(now: Moment) -> u32 {
    let (_, tenths) = halves(now.bits() / 100_000_000 + 1);
    tenths.max(1)
}

fn pack(tenths: u32, micros: u32) -> u64 {
    u64::from(tenths) << 32 | u64::from(micros)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
const fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// 15 seconds, in nanoseconds.
const HALF_WINDOW: u64 = 15_000_000_000;
/// Up to two minutes; what takes longer is as if it took that.
const BUCKETS: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn moment(millis: u64) -> Moment {
        let base = Instant::now();
        Moment::of(base + Duration::from_millis(millis), base)
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn nothing_is_known_before_there_are_enough_samples() {
        let recent = Recent::new();
        (0..9).for_each(|_| recent.record(micros(100), moment(1_000)));
        assert_eq!(recent.percentile(50, 10, moment(1_100)), None);

        recent.record(micros(100), moment(1_150));

        assert!(recent.percentile(50, 10, moment(1_200)).is_some());
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let recent = Recent::new();
        (0..100).for_each(|_| recent.record(micros(1_000_000), moment(14_000)));
        assert!(recent.percentile(50, 10, moment(29_900)).is_some());
        assert_eq!(recent.percentile(50, 10, moment(30_000)), None);

        (0..20).for_each(|_| recent.record(micros(100), moment(31_000)));

        assert!(recent.percentile(99, 10, moment(31_100)) < Some(micros(200)));
    }

    #[test]
    fn a_percentile_is_followed_within_a_tenth_of_a_second() {
        let recent = Recent::new();
        (0..100).for_each(|_| recent.record(micros(100), moment(1_000)));
        let before = recent.percentile(50, 10, moment(1_000));
        (0..1_000).for_each(|_| recent.record(micros(9_000), moment(1_010)));

        assert_eq!(recent.percentile(50, 10, moment(1_010)), before);
        assert!(recent.percentile(50, 10, moment(1_100)) >= Some(micros(9_000)));
    }

    proptest! {
        /// Beside the sorted samples themselves.
        #[test]
        fn a_percentile_is_at_most_an_eighth_above_the_true_one(
            samples in prop::collection::vec(prop_oneof![0_u64..20, 0_u64..100_000_000], 1..300),
            percent in 1_u8..=99,
        ) {
            let recent = Recent::new();
            for sample in &samples {
                recent.record(micros(*sample), moment(500));
            }
            let mut sorted = samples;
            sorted.sort_unstable();
            let rank = (sorted.len() * usize::from(percent)).div_ceil(100);
            let exact = sorted[rank - 1];

            let found = recent.percentile(percent, 1, moment(500)).unwrap();

            prop_assert!(found > micros(exact), "{found:?}, not {exact}");
            prop_assert!(found <= micros(exact + exact / 8 + 1), "{found:?}, not {exact}");
        }

        #[test]
        fn only_samples_of_the_window_count(
            samples in prop::collection::vec((0_u64..90_000, 1_u64..1_000), 1..200),
        ) {
            let mut samples = samples;
            samples.sort_unstable();
            let last = samples.last().map_or(0, |(at, _)| *at);
            let recent = Recent::new();
            for (at, millis) in &samples {
                recent.record(Duration::from_millis(*millis), moment(*at));
            }
            let in_view = |age: u64| samples.iter().filter(move |(at, _)| at + age >= last).count();
            let at_least = u32::try_from(in_view(15_000)).unwrap();
            let at_most = u32::try_from(in_view(30_000)).unwrap();

            prop_assert!(recent.percentile(50, at_least, moment(last)).is_some());
            prop_assert_eq!(recent.percentile(50, at_most + 1, moment(last + 100)), None);
        }

        #[test]
        fn no_sample_is_too_long_for_the_buckets(nanos: u64) {
            let recent = Recent::new();
            recent.record(Duration::from_nanos(nanos), moment(0));

            prop_assert!(recent.percentile(99, 1, moment(0)).is_some());
        }
    }
}
