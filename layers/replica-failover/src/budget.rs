use std::sync::atomic::{AtomicU64, Ordering};

use crate::RetryBudget;
use crate::moment::Moment;

/// What is left of a [`RetryBudget`].
///
/// Two buckets: requests fill the one, time fills the other. A retry takes from both if it can, so that they allow the
/// larger of two rates and not their sum.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: RetryBudget,
    /// Hundredths of a retry that requests have earned.
    earned: AtomicU64,
    /// The moment up to which the retries that time earns are spent: bits of a [`Moment`].
    spent_until: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: RetryBudget) -> Self {
        let full = Self::most_earned(limits);
        Self { limits, earned: AtomicU64::new(full), spent_until: AtomicU64::new(0) }
    }

    /// A request has come.
    pub(crate) fn deposit(&self) {
        let (share, most) = (u64::from(self.limits.share()), Self::most_earned(self.limits));
        // A full bucket, the usual case, is looked at and not written.
        let more = |earned: u64| (earned < most).then(|| (earned + share).min(most));
        // Relaxed here and below: the numbers guard no other memory.
        let _ = self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether one more retry may be made.
    pub(crate) fn withdraw(&self, now: Moment) -> bool {
        let less = |earned: u64| earned.checked_sub(ONE);
        if self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            let _ = self.spend_time(|until| Some(until.min(now.bits())), now);
            return true;
        }
        self.spend_time(|until| (until <= now.bits()).then_some(until), now)
    }

    /// Moves `spent_until` on by what one retry takes, if `allow` lets it.
    fn spend_time(&self, allow: impl Fn(u64) -> Option<u64>, now: Moment) -> bool {
        let Some(each) = NANOS.checked_div(u64::from(self.limits.least_per_second())) else {
            return false;
        };
        // What was not spent within a second is forgotten.
        let oldest = now.bits().saturating_sub(NANOS);
        let spend = |until: u64| allow(until.max(oldest).saturating_add(each));
        self.spent_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Ten seconds' worth of the least rate, so that a quiet service has something to start with.
    fn most_earned(limits: RetryBudget) -> u64 {
        match limits.share() {
            0 => 0,
            _ => ONE * u64::from(limits.least_per_second()).saturating_mul(10).clamp(1, 1_000),
        }
    }
}

const ONE: u64 = 100;
const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn moment(millis: u64) -> Moment {
        let base = Instant::now();
        Moment::of(base + Duration::from_millis(millis), base)
    }

    #[test]
    fn without_share_and_least_rate_nothing_is_retried() {
        let budget = Budget::new(RetryBudget::new(0, 0));

        (0..100).for_each(|_| budget.deposit());

        assert!(!budget.withdraw(moment(60_000)));
    }

    #[test]
    fn a_share_alone_is_earned_by_requests_and_not_by_time() {
        let budget = Budget::new(RetryBudget::new(20, 0));
        assert!(budget.withdraw(moment(0)), "the bucket begins full");
        assert!(!budget.withdraw(moment(60_000)));

        (0..4).for_each(|_| budget.deposit());
        assert!(!budget.withdraw(moment(60_000)));

        budget.deposit();
        assert!(budget.withdraw(moment(60_000)));
    }

    #[test]
    fn the_least_rate_holds_without_requests_and_is_not_saved_up_beyond_a_second() {
        let budget = Budget::new(RetryBudget::new(0, 10));

        let at = |millis| (0..100).filter(|_| budget.withdraw(moment(millis))).count();

        assert!(at(1_000) <= 10);
        assert_eq!(at(1_100), 1);
        assert_eq!(at(61_000), 10);
    }

    #[test]
    fn a_minute_of_failures_settles_at_the_share_although_there_is_a_least_rate() {
        let budget = Budget::new(RetryBudget::default());
        let (mut requests, mut retries) = (0_u32, 0_u32);

        for second in 0..60_u64 {
            for request in 0..300_u64 {
                budget.deposit();
                let retried = budget.withdraw(moment(second * 1_000 + request * 10 / 3));
                if second >= 10 {
                    requests += 1;
                    retries += u32::from(retried);
                }
            }
        }

        assert!(retries * 5 <= requests + 5, "{retries} of {requests}");
        assert!(retries * 5 + 50 >= requests, "{retries} of {requests}");
    }

    proptest! {
        #[test]
        fn retries_never_exceed_what_was_earned_and_what_was_kept(
            share in 0_u8..=100,
            least in 0_u32..50,
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..400),
        ) {
            let limits = RetryBudget::new(share, least);
            let budget = Budget::new(limits);
            let (mut millis, mut requests, mut retries) = (0, 0_u64, 0_u64);

            for (pause, request) in steps {
                millis += pause;
                if request {
                    requests += 1;
                    budget.deposit();
                } else {
                    retries += u64::from(budget.withdraw(moment(millis)));
                }
            }

            let earned = requests * u64::from(share) + u64::from(least) * (millis + 1_000) / 10;
            prop_assert!(retries * ONE <= earned + Budget::most_earned(limits), "{retries}");
        }
    }
}
