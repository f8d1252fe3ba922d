use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::HistogramFn;

use super::parts::Parts;

/// How long something took, in buckets of seconds: a sample is two additions, whatever is held of those before.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    parts: Parts<Part>,
}

#[derive(Debug, Default)]
struct Part {
    /// One for each bound, and one for what is beyond the last.
    counts: [AtomicU64; BOUNDS + 1],
    nanoseconds: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, PartialEq)]
pub(super) struct Counted {
    /// How many samples are at most as large as each bound.
    pub(super) buckets: Vec<(f64, u64)>,
    /// How many samples there are.
    pub(super) count: u64,
    /// Their sum, in seconds.
    pub(super) sum: f64,
}

impl Histogram {
    /// One of these buckets, of which more than [`BOUNDS`] are not there.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds: bounds.get(..BOUNDS).unwrap_or(bounds), parts: Parts::default() }
    }

    /// What has been counted until now.
    pub(super) fn counted(&self) -> Counted {
        let (mut counts, mut nanoseconds) = ([0; BOUNDS + 1], 0_u64);
        for part in self.parts.iter() {
            for (all, count) in counts.iter_mut().zip(&part.counts) {
                *all += count.load(Relaxed);
            }
            nanoseconds = nanoseconds.wrapping_add(part.nanoseconds.load(Relaxed));
        }
        let up_to = counts.iter().scan(0, |all, count| {
            *all += count;
            Some(*all)
        });
        #[expect(clippy::cast_precision_loss, reason = "no scraper asks for more than 15 digits")]
        let sum = nanoseconds as f64 / 1e9;
        Counted {
            buckets: self.bounds.iter().copied().zip(up_to).collect(),
            count: counts.iter().sum(),
            sum,
        }
    }
}

impl HistogramFn for Histogram {
    fn record(&self, seconds: f64) {
        let bucket = self.bounds.iter().take_while(|bound| seconds > **bound).count();
        let part = self.parts.own();
        if let Some(count) = part.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast has the nearest number there is"
        )]
        part.nanoseconds.fetch_add((seconds * 1e9) as u64, Relaxed);
    }
}

/// With the one beyond them, and the sum, they fill whole lines of a cache.
pub(super) const BOUNDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_the_first_bucket_that_it_does_not_exceed_and_in_all_above() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for seconds in [0.0, 0.1, 0.100_001, 1.0, 2.0] {
            histogram.record(seconds);
        }

        let counted = histogram.counted();

        assert_eq!(counted.buckets, [(0.1, 2), (1.0, 4)]);
        assert_eq!(counted.count, 5);
        assert!((counted.sum - 3.200_001).abs() < 1e-9, "{}", counted.sum);
    }

    #[test]
    fn what_threads_record_at_once_is_all_there() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.record(0.5)));
            }
        });

        let counted = histogram.counted();

        assert_eq!(counted.buckets, [(0.1, 0), (1.0, 10_000)]);
        assert!((counted.sum - 5_000.0).abs() < 1e-6);
    }

    #[test]
    fn what_makes_no_sense_as_a_time_does_no_harm() {
        let histogram = Histogram::new(&[0.1]);
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            histogram.record(seconds);
        }
        assert_eq!(histogram.counted().count, 3);
    }
}
