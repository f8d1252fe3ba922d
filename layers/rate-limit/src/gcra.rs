//! The arithmetic of the generic cell rate algorithm, on nanoseconds since some beginning.
//!
//! A cell is one number: the time at which its allowance will be whole again. Taking moves it on by an interval for each
//! unit, and must not move it beyond the burst. A cell that was never used is one whose time has passed.

use std::num::NonZeroU32;

/// A quota as the arithmetic has it, for a request that costs so much.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pace {
    /// Nanoseconds in which one unit comes back.
    pub(crate) interval: u64,
    /// Nanoseconds in which all of it comes back.
    pub(crate) burst: u64,
    /// Nanoseconds that this request takes.
    pub(crate) cost: u64,
    /// Nanoseconds that it may be too early by, and wait.
    pub(crate) patience: u64,
}

/// What taking comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// The time that the cell has then, and how long the request has to wait for it.
    Yes { whole_at: u64, wait: u64 },
    /// How long until it would be let through at once; none if it costs more than there ever is.
    No { retry: Option<u64> },
}

impl Pace {
    pub(crate) fn new(interval: u64, burst: NonZeroU32, cost: NonZeroU32) -> Self {
        Self {
            interval,
            burst: interval.saturating_mul(burst.get().into()),
            cost: interval.saturating_mul(cost.get().into()),
            patience: 0,
        }
    }

    pub(crate) const fn patient(self, patience: u64) -> Self {
        Self { patience, ..self }
    }

    /// Whether it costs more than there ever is.
    pub(crate) const fn is_never(self) -> bool {
        self.cost > self.burst
    }

    /// Takes the cost from a cell that is whole at `whole_at`.
    pub(crate) fn take(self, whole_at: u64, now: u64) -> Taken {
        if self.is_never() {
            return Taken::No { retry: None };
        }
        let after = whole_at.max(now).saturating_add(self.cost);
        let early = after.saturating_sub(now.saturating_add(self.burst));
        if early <= self.patience {
            Taken::Yes { whole_at: after, wait: early }
        } else {
            Taken::No { retry: Some(early) }
        }
    }

    /// Gives the cost back to a cell that it was taken from when that was whole at `taken` afterwards.
    ///
    /// None if time has given it back already: from then on the cell may have been used by others who know nothing of it.
    pub(crate) const fn give_back(self, whole_at: u64, taken: u64, now: u64) -> Option<u64> {
        if taken <= now { None } else { Some(whole_at.saturating_sub(self.cost)) }
    }

    /// The units left in a cell.
    pub(crate) fn left(self, whole_at: u64, now: u64) -> u32 {
        let used = whole_at.saturating_sub(now);
        u32::try_from(self.burst.saturating_sub(used) / self.interval).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    /// A bucket of tokens that come back one by one: slow, plain and exact.
    struct Bucket {
        interval: u64,
        burst: u64,
        /// When each taken token comes back.
        back: Vec<u64>,
    }

    impl Bucket {
        fn take(&mut self, cost: u64, now: u64) -> bool {
            self.back.retain(|back| *back > now);
            let left = self.burst - self.back.len() as u64;
            if cost > left {
                return false;
            }
            for _ in 0..cost {
                let last = self.back.last().copied().unwrap_or(now);
                self.back.push(last.max(now) + self.interval);
            }
            true
        }
    }

    proptest! {
        #[test]
        fn it_lets_through_what_a_bucket_of_tokens_does(
            interval in 1..50_u64,
            burst in 1..20_u32,
            steps in proptest::collection::vec((0..60_u64, 1..8_u32), 1..200),
        ) {
            let mut bucket = Bucket { interval, burst: burst.into(), back: Vec::new() };
            let (mut cell, mut now) = (0, 0);
            for (pause, cost) in steps {
                now += pause;
                let pace = Pace::new(interval, number(burst), number(cost));
                let taken = pace.take(cell, now);
                prop_assert_eq!(matches!(taken, Taken::Yes { .. }), bucket.take(cost.into(), now));
                if let Taken::Yes { whole_at, wait } = taken {
                    cell = whole_at;
                    prop_assert_eq!(wait, 0);
                }
                let left = burst - u32::try_from(bucket.back.len()).unwrap();
                prop_assert_eq!(pace.left(cell, now), left);
            }
        }

        #[test]
        fn who_waits_as_long_as_told_is_let_through_and_who_comes_earlier_is_not(
            interval in 1..1_000_u64,
            burst in 1..20_u32,
            cost in 1..20_u32,
            used in 0..40_000_u64,
            now in 0..1_000_000_u64,
        ) {
            let pace = Pace::new(interval, number(burst), number(cost));
            let cell = now + used.min(pace.burst);
            match pace.take(cell, now) {
                Taken::Yes { .. } => {}
                Taken::No { retry: None } => prop_assert!(cost > burst),
                Taken::No { retry: Some(retry) } => {
                    let then = pace.take(cell, now + retry);
                    prop_assert_eq!(then, Taken::Yes { whole_at: now + retry + pace.burst, wait: 0 });
                    let refused = matches!(pace.take(cell, now + retry - 1), Taken::No { .. });
                    prop_assert!(refused);
                }
            }
        }

        #[test]
        fn giving_back_undoes_taking(
            interval in 1..1_000_u64,
            cost in 1..20_u32,
            used in 0..10_000_u64,
            now in 0..1_000_000_u64,
        ) {
            let pace = Pace::new(interval, number(20), number(cost));
            let cell = now + used;
            if let Taken::Yes { whole_at, .. } = pace.take(cell, now) {
                prop_assert_eq!(pace.give_back(whole_at, whole_at, now), Some(cell));
                prop_assert_eq!(pace.give_back(whole_at, whole_at, whole_at), None);
            }
        }
    }

    #[test]
    fn who_is_patient_waits_for_what_is_missing() {
        let pace = Pace::new(10, number(2), number(1)).patient(10);
        let cell = 20; // all of it used

        assert_eq!(pace.take(cell, 0), Taken::Yes { whole_at: 30, wait: 10 });
        assert_eq!(pace.take(30, 0), Taken::No { retry: Some(20) });
    }
}
