use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::moment::Moment;

/// A moving average of response times that follows a rise at once and a fall slowly.
///
/// Without samples it decays, so that a replica once slow is asked again. The word holds the average as an `f32`, in
/// microseconds, above the millisecond of the last sample, modulo 2³²; zero is no sample.
#[derive(Debug, Default)]
pub(crate) struct Latency(AtomicU64);

impl Latency {
    pub(crate) fn record(&self, sample: Duration, now: Moment) {
        let sample = micros(sample);
        let next = |word| {
            let average = match average(word, now) {
                Some(old) if sample <= old => old + sample * (1.0 - decay(word, now)),
                _ => sample,
            };
            Some(pack(average, now))
        };
        // Relaxed: the number guards no other memory.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// Somebody waited so long, and then no longer: known is only that it is no less.
    pub(crate) fn record_at_least(&self, sample: Duration, now: Moment) {
        if micros(sample) > self.average(now) {
            self.record(sample, now);
        }
    }

    /// The average in microseconds; of a replica never asked, a guess.
    pub(crate) fn average(&self, now: Moment) -> f32 {
        self.known(now).unwrap_or(UNKNOWN)
    }

    /// The average in microseconds, if there was a sample.
    pub(crate) fn known(&self, now: Moment) -> Option<f32> {
        average(self.0.load(Ordering::Relaxed), now)
    }
}

/// The average as it has decayed by now.
fn average(word: u64, now: Moment) -> Option<f32> {
    let (high, _) = halves(word);
    (word != 0).then(|| f32::from_bits(high) * decay(word, now))
}

/// What is left of the last average: a factor within 0 and 1.
fn decay(word: u64, now: Moment) -> f32 {
    let (_, stamp) = halves(word);
    let elapsed = Duration::from_millis(millis(now).wrapping_sub(stamp).into());
    (-elapsed.as_secs_f32() / TAU.as_secs_f32()).exp()
}

fn pack(average: f32, now: Moment) -> u64 {
    // A sample of no time at all is a sample, too.
    (u64::from(average.max(f32::MIN_POSITIVE).to_bits()) << 32) | u64::from(millis(now))
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
const fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2³², as differences are")]
const fn millis(now: Moment) -> u32 {
    (now.bits() / 1_000_000) as u32
}

fn micros(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e6
}

/// Half of a sample is forgotten after seven seconds.
const TAU: Duration = Duration::from_secs(10);
/// 30 ms, in microseconds.
const UNKNOWN: f32 = 30_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn moment(millis: u64) -> Moment {
        let base = Instant::now();
        Moment::of(base + Duration::from_millis(millis), base)
    }

    fn of(samples: &[(u64, u64)]) -> Latency {
        let latency = Latency::default();
        for (at, millis) in samples {
            latency.record(Duration::from_millis(*millis), moment(*at));
        }
        latency
    }

    #[test]
    fn a_rise_counts_at_once_and_a_fall_only_slowly() {
        let fast = of(&[(0, 10), (1, 10)]).average(moment(1));
        let risen = of(&[(0, 10), (1, 500)]).average(moment(1));
        let falling = of(&[(0, 500), (100, 10)]).average(moment(100));

        assert!((fast - 10_000.0).abs() < 100.0, "{fast}");
        assert!((risen - 500_000.0).abs() < 1.0, "{risen}");
        assert!(falling > 480_000.0 && falling < 500_000.0, "{falling}");
    }

    #[test]
    fn a_replica_that_is_not_asked_looks_better_with_time() {
        let slow = of(&[(0, 5_000)]);

        assert!(slow.average(moment(5_000)) > 3_000_000.0);
        assert!(slow.average(moment(120_000)) < UNKNOWN);
    }

    #[test]
    fn a_wait_that_was_given_up_counts_only_if_it_was_longer_than_usual() {
        let latency = of(&[(0, 100)]);

        latency.record_at_least(Duration::from_millis(50), moment(0));
        assert!((latency.average(moment(0)) - 100_000.0).abs() < 1.0);

        latency.record_at_least(Duration::from_millis(200), moment(0));
        assert!((latency.average(moment(0)) - 200_000.0).abs() < 1.0);
    }

    proptest! {
        #[test]
        fn the_average_is_a_number_within_what_was_seen(
            samples in prop::collection::vec((0_u64..100_000, 0_u64..100_000), 1..50),
        ) {
            let most = samples.iter().map(|(_, millis)| *millis).max().unwrap_or_default();
            let mut samples = samples;
            samples.sort_unstable();
            let last = samples.last().map_or(0, |(at, _)| *at);

            let average = of(&samples).average(moment(last));

            prop_assert!(average.is_finite() && average >= 0.0, "{average}");
            prop_assert!(f64::from(average) <= f64::from(u32::try_from(most).unwrap()) * 1e3 * 1.001 + 1.0);
        }
    }
}
