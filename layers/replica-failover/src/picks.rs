//! The orders that look at no more than the candidates.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::request::Parts;

use crate::{Candidate, Candidates, Pick};

pub(crate) struct InOrder;

impl Pick for InOrder {
    fn pick<'a>(&self, candidates: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        candidates.iter().next()
    }
}

#[derive(Default)]
pub(crate) struct RoundRobin(AtomicUsize);

impl Pick for RoundRobin {
    fn pick<'a>(&self, candidates: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        let count = candidates.iter().count();
        // A second attempt takes no turn: else who comes after a failing replica would never be first.
        let turn = if candidates.is_retry() {
            candidates.draw(count)
        } else {
            self.0.fetch_add(1, Ordering::Relaxed).checked_rem(count)?
        };
        candidates.iter().nth(turn)
    }
}

pub(crate) struct Weighted;

impl Pick for Weighted {
    fn pick<'a>(&self, candidates: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        let weight = |candidate: &Candidate<'_>| {
            usize::try_from(candidate.weight().get()).unwrap_or(usize::MAX)
        };
        let total =
            candidates.iter().fold(0, |total: usize, one| total.saturating_add(weight(&one)));
        let mut drawn = candidates.draw(total);
        candidates.iter().find(|candidate| match drawn.checked_sub(weight(candidate)) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        })
    }
}

pub(crate) struct LeastRequest;

impl Pick for LeastRequest {
    fn pick<'a>(&self, candidates: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        better_of_two(candidates, requests)
    }
}

pub(crate) struct PeakEwma;

impl Pick for PeakEwma {
    fn pick<'a>(&self, candidates: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        better_of_two(candidates, |candidate| {
            candidate.latency().as_secs_f64() * requests(candidate)
        })
    }
}

/// Requests in hand, the one to come included, for each unit of weight.
#[expect(clippy::cast_precision_loss, reason = "nobody has 2⁵² requests in hand")]
fn requests(candidate: &Candidate<'_>) -> f64 {
    candidate.in_flight().saturating_add(1) as f64 / f64::from(candidate.weight().get())
}

/// The cheaper of two different ones, drawn at random.
fn better_of_two<'a>(
    candidates: &Candidates<'a>,
    cost: impl Fn(&Candidate<'a>) -> f64,
) -> Option<Candidate<'a>> {
    let count = candidates.iter().count();
    let first = candidates.draw(count);
    let second = candidates.draw(count.saturating_sub(1));
    let second = if second >= first { second + 1 } else { second };
    let first = candidates.iter().nth(first);
    match (first, candidates.iter().nth(second)) {
        (Some(first), Some(second)) if cost(&second) < cost(&first) => Some(second),
        (first, second) => first.or(second),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::time::Duration;

    use http::Request;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::candidates::{Filter, Heed, Member};
    use crate::moment::Moment;
    use crate::shared::{Settings, Shared};
    use crate::state::InFlight;
    use crate::{FailoverPolicy, Order, Replica};

    fn members(replicas: &[(u32, usize)]) -> (Vec<Member>, Vec<InFlight>) {
        let shared = Shared::new(Settings::new(FailoverPolicy::default()));
        let mut in_flight = Vec::new();
        let member = |(index, (weight, load)): (usize, &(u32, usize))| {
            let weight = NonZeroU32::new(*weight).unwrap();
            let place = Replica::new(index.to_string(), ()).weight(weight).place;
            let state = shared.enlist(&place, None);
            in_flight.extend((0..*load).map(|_| InFlight::enter(&state)));
            Member::new(state, place)
        };
        let members = replicas.iter().enumerate().map(member).collect();
        (members, in_flight)
    }

    /// How often each is picked, of `count` times.
    fn picked(
        pick: &dyn Pick,
        members: &[Member],
        without: &[usize],
        again: bool,
        count: u64,
    ) -> Vec<u32> {
        let (parts, ()) = Request::new(()).into_parts();
        let (base, filter) =
            (Instant::now(), Filter { without, quiet: None, clean: None, heed: Heed::default() });
        let mut picked = vec![0; members.len()];
        for random in 0..count {
            let now = Moment::of(base, base);
            let candidates = Candidates::new(members, filter, now, again, random).unwrap();
            picked[pick.pick(&candidates, &parts).unwrap().index()] += 1;
        }
        picked
    }

    #[test]
    fn round_robin_goes_round_and_past_what_is_left_out() {
        let (members, _) = members(&[(1, 0), (5, 9), (1, 0)]);

        assert_eq!(picked(&RoundRobin::default(), &members, &[], false, 9), [3, 3, 3]);
        assert_eq!(picked(&RoundRobin::default(), &members, &[0], false, 8), [0, 4, 4]);
    }

    #[test]
    fn a_second_attempt_takes_nobodys_turn() {
        let (members, _) = members(&[(1, 0); 4]);
        let pick = RoundRobin::default();

        assert_eq!(picked(&pick, &members, &[], false, 2), [1, 1, 0, 0]);
        picked(&pick, &members, &[0], true, 7);
        assert_eq!(picked(&pick, &members, &[], false, 2), [0, 0, 1, 1]);
    }

    #[test]
    fn weights_are_shares() {
        let (members, _) = members(&[(1, 0), (3, 0), (6, 0)]);

        let picked = picked(&Weighted, &members, &[], false, 10_000);

        for (picked, share) in picked.into_iter().zip([1_000_u32, 3_000, 6_000]) {
            assert!(picked.abs_diff(share) < 200, "{picked} instead of {share}");
        }
    }

    #[test]
    fn of_two_the_one_with_less_in_hand_for_its_weight_is_asked() {
        let (members, _in_flight) = members(&[(1, 2), (4, 7)]);

        assert_eq!(picked(&LeastRequest, &members, &[], false, 100), [0, 100]);
    }

    #[test]
    fn of_three_only_the_worst_is_never_the_better_of_two() {
        let (members, _in_flight) = members(&[(1, 9), (1, 3), (1, 0)]);

        let picked = picked(&LeastRequest, &members, &[], false, 1_000);

        assert_eq!(picked[0], 0);
        assert!(picked[1] > 200 && picked[2] > 500, "{picked:?}");
    }

    #[test]
    fn among_equals_two_choices_are_fair() {
        let (members, _) = members(&[(1, 0); 5]);

        for order in [Order::LeastRequest, Order::PeakEwma] {
            let picked = picked(&*order.pick().unwrap(), &members, &[], false, 10_000);
            assert!(picked.iter().all(|count| count.abs_diff(2_000) < 200), "{picked:?}");
        }
    }

    #[test]
    fn one_that_was_never_asked_is_asked_however_fast_the_others_are() {
        let (members, _) = members(&[(1, 0), (1, 0)]);
        let base = Instant::now();
        members[1].state.latency().record(Duration::from_micros(50), Moment::of(base, base));

        assert_eq!(picked(&PeakEwma, &members, &[], false, 100), [100, 0]);
        let _in_hand = InFlight::enter(&members[0].state);
        assert_eq!(picked(&PeakEwma, &members, &[], false, 100), [0, 100]);
    }

    proptest! {
        #[test]
        fn every_order_picks_one_that_is_not_left_out(
            replicas in prop::collection::vec((1_u32..=u32::MAX, 0_usize..5), 1..8),
            out in prop::collection::vec(0_usize..8, 0..8),
            again: bool,
        ) {
            let (members, _in_flight) = members(&replicas);
            prop_assume!((0..replicas.len()).any(|index| !out.contains(&index)));
            for order in [Order::Priority, Order::RoundRobin, Order::Weighted, Order::LeastRequest, Order::PeakEwma] {
                let pick: Arc<dyn Pick> = order.pick().unwrap();
                let picked = picked(&*pick, &members, &out, again, 20);

                for (index, count) in picked.iter().enumerate() {
                    prop_assert!(*count == 0 || !out.contains(&index), "{order:?}");
                }
            }
        }
    }
}
