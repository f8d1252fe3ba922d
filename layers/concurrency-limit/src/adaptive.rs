use std::num::NonZeroU32;
use std::time::Duration;

use crate::InvalidPolicy;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A limit that goes up one by one while answers come in time, and down by a tenth when one does not.
///
/// An answer's time is that to its headers, from when it got its place. It is late when that exceeds the `latency`, when the
/// inner service fails, or says that it is overloaded (`429`, `503`, `504`). The limit goes down at most once in the time of
/// a latency, so that one burst of late answers counts once, and goes up only while at least half of it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "it does nothing until a policy has it"]
pub struct Adaptive {
    min: NonZeroU32,
    max: NonZeroU32,
    first: NonZeroU32,
    latency: Duration,
}

impl Adaptive {
    /// Between `min`, which it begins with, and `max`.
    ///
    /// # Errors
    ///
    /// When the latency is zero, or the least exceeds the largest.
    pub const fn new(
        min: NonZeroU32,
        max: NonZeroU32,
        latency: Duration,
    ) -> Result<Self, InvalidPolicy> {
        if latency.is_zero() {
            return Err(InvalidPolicy::TooShort("the latency"));
        }
        if min.get() > max.get() {
            return Err(InvalidPolicy::Bounds);
        }
        Ok(Self { min, max, first: min, latency })
    }

    /// Begins with another limit.
    ///
    /// # Errors
    ///
    /// When it is beyond the bounds.
    pub fn first(self, first: NonZeroU32) -> Result<Self, InvalidPolicy> {
        let within = (self.min..=self.max).contains(&first);
        if within { Ok(Self { first, ..self }) } else { Err(InvalidPolicy::Bounds) }
    }

    pub(crate) const fn latency(&self) -> Duration {
        self.latency
    }

    pub(crate) const fn begins_with(&self) -> NonZeroU32 {
        self.first
    }

    fn more(&self, limit: u32) -> u32 {
        limit.saturating_add(1).min(self.max.get())
    }

    fn less(&self, limit: u32) -> u32 {
        (limit - limit.div_ceil(10)).max(self.min.get())
    }
}

/// What is known of the answers so far.
///
/// Its parts are changed one by one: of two answers at the same moment one may count for the limit as the other leaves it,
/// which makes it neither wrong nor unbounded.
#[derive(Debug)]
pub(crate) struct Trend {
    /// Answers in time since the limit changed.
    in_time: AtomicU32,
    /// In milliseconds, until when it does not go down again.
    spared_until: AtomicU64,
}

impl Trend {
    pub(crate) fn new() -> Self {
        Self { in_time: AtomicU32::new(0), spared_until: AtomicU64::new(0) }
    }

    /// The limit after an answer in time, with so many under way.
    pub(crate) fn in_time(&self, adaptive: &Adaptive, limit: u32, under_way: u32) -> u32 {
        if under_way < limit.div_ceil(2) || self.in_time.fetch_add(1, Ordering::Relaxed) + 1 < limit
        {
            return limit;
        }
        self.in_time.store(0, Ordering::Relaxed);
        adaptive.more(limit)
    }

    /// The limit after a late one, at `now` in milliseconds.
    pub(crate) fn late(&self, adaptive: &Adaptive, limit: u32, now: u64) -> u32 {
        let spared = self.spared_until.load(Ordering::Relaxed);
        let latency = u64::try_from(adaptive.latency.as_millis()).unwrap_or(u64::MAX).max(1);
        let until = now.saturating_add(latency);
        let first = now >= spared
            && self
                .spared_until
                .compare_exchange(spared, until, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !first {
            return limit;
        }
        self.in_time.store(0, Ordering::Relaxed);
        adaptive.less(limit)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn adaptive(min: u32, max: u32) -> Adaptive {
        let number = |number| NonZeroU32::new(number).unwrap();
        Adaptive::new(number(min), number(max), Duration::from_millis(100)).unwrap()
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            min in 1..20_u32,
            more in 0..50_u32,
            answers in proptest::collection::vec((any::<bool>(), 0..300_u64, 0..100_u32), 0..500),
        ) {
            let adaptive = adaptive(min, min + more);
            let trend = Trend::new();
            let (mut limit, mut now) = (min, 0);
            for (late, pause, under_way) in answers {
                now += pause;
                let before = limit;
                limit = if late {
                    trend.late(&adaptive, limit, now)
                } else {
                    trend.in_time(&adaptive, limit, under_way)
                };
                prop_assert!((min..=min + more).contains(&limit));
                let fits = if late { limit <= before } else { limit == before || limit == before + 1 };
                prop_assert!(fits);
            }
        }
    }

    #[test]
    fn it_goes_up_by_one_for_as_many_answers_in_time_as_it_is() {
        let (adaptive, trend) = (adaptive(10, 100), Trend::new());
        let mut limit = 10;
        for _ in 0..9 {
            limit = trend.in_time(&adaptive, limit, 10);
            assert_eq!(limit, 10);
        }

        assert_eq!(trend.in_time(&adaptive, limit, 10), 11);
    }

    #[test]
    fn it_does_not_go_up_while_it_is_not_used() {
        let (adaptive, trend) = (adaptive(10, 100), Trend::new());

        assert!((0..1000).all(|_| trend.in_time(&adaptive, 10, 4) == 10));
    }

    #[test]
    fn late_answers_of_one_moment_count_once() {
        let (adaptive, trend) = (adaptive(10, 100), Trend::new());

        let limits = [5, 6, 104, 105].map(|now| trend.late(&adaptive, 100, now));

        assert_eq!(limits, [90, 100, 100, 90]);
    }
}
