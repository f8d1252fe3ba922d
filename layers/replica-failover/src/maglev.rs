use std::sync::Arc;

use http::request::Parts;

use crate::candidates::mix;
use crate::{Candidate, Candidates, HashKey, HashOn, Pick};

/// Hashes to a replica by a Maglev table, and past those that have more than their share in hand.
pub(crate) struct Hash {
    pub(crate) key: Arc<dyn HashKey>,
}

impl Pick for Hash {
    fn pick<'a>(&self, _: &Candidates<'a>, _: &Parts) -> Option<Candidate<'a>> {
        None
    }

    fn prepared(&self, replicas: &[(Arc<str>, u32)]) -> Option<Arc<dyn Pick>> {
        Some(Arc::new(Maglev { table: table(replicas), key: self.key.clone() }))
    }
}

struct Maglev {
    /// Places in the list.
    table: Box<[u16]>,
    key: Arc<dyn HashKey>,
}

impl Pick for Maglev {
    fn pick<'a>(&self, candidates: &Candidates<'a>, request: &Parts) -> Option<Candidate<'a>> {
        let Some(key) = self.key.hash_key(request) else {
            return candidates.iter().nth(candidates.draw(candidates.iter().count()));
        };
        let sums = candidates.iter().fold((1, 0), |(in_flight, weight), one| {
            (in_flight + wide(one.in_flight()), weight + u128::from(one.weight().get()))
        });
        // A quarter more than the fair share, rounded up, so that one request at least fits.
        let has_room = |one: &Candidate<'_>| {
            let fair_share = sums.0 * u128::from(one.weight().get()) * 5;
            wide(one.in_flight()) < fair_share.div_ceil((sums.1 * 4).max(1))
        };
        let start = usize::try_from(key % u64::try_from(self.table.len().max(1)).ok()?).ok()?;
        let (before, after) = self.table.split_at_checked(start)?;
        let slots = after.iter().chain(before).take(candidates.members().len() * LOOKS);
        let mut at = slots.filter_map(|index| candidates.get(usize::from(*index)));
        // None of those looked at, which is unlikely, leaves it to the least loaded.
        at.find(has_room).or_else(|| candidates.iter().min_by_key(Candidate::in_flight))
    }
}

fn wide(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

/// Gives each replica slots in proportion to its weight: each in turn takes the next free slot of its own permutation.
///
/// A replica's permutation depends on its name alone, so that a change of the list moves few keys.
fn table(replicas: &[(Arc<str>, u32)]) -> Box<[u16]> {
    let wanted = replicas.len().saturating_mul(100);
    let size =
        SIZES.iter().find(|size| usize::from(**size) >= wanted).map_or(LARGEST, |size| *size);
    let modulus = u64::from(size);
    let heaviest = replicas.iter().map(|(_, weight)| *weight).max().unwrap_or(1);
    let mut rows: Vec<_> = (0..size)
        .zip(replicas)
        .map(|(index, (name, weight))| {
            let hash = HashOn::key(name.as_bytes());
            let skip = mix(hash) % (modulus - 1) + 1;
            Row { index, weight: *weight, earned: 0, next: hash % modulus, skip }
        })
        .collect();
    let mut slots: Vec<Option<u16>> = vec![None; usize::from(size)];
    let mut free = if rows.is_empty() { 0 } else { slots.len() };
    while free > 0 {
        for row in &mut rows {
            row.earned += u64::from(row.weight);
            if row.earned < u64::from(heaviest) || free == 0 {
                continue;
            }
            row.earned -= u64::from(heaviest);
            // The size is a prime, so a permutation visits every slot, and one of them is free.
            while let Some(slot) = usize::try_from(row.next).ok().and_then(|at| slots.get_mut(at)) {
                row.next = (row.next + row.skip) % modulus;
                if slot.is_none() {
                    *slot = Some(row.index);
                    free -= 1;
                    break;
                }
            }
        }
    }
    slots.into_iter().flatten().collect()
}

struct Row {
    index: u16,
    weight: u32,
    earned: u64,
    next: u64,
    skip: u64,
}

/// How many slots are looked at, for each replica of the list.
const LOOKS: usize = 16;
/// Primes.
const SIZES: [u16; 4] = [1_021, 4_093, 16_381, LARGEST];
const LARGEST: u16 = 65_521;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(weights: &[u32]) -> Vec<(Arc<str>, u32)> {
        let name = |index| Arc::from(format!("replica-{index}"));
        weights.iter().enumerate().map(|(index, weight)| (name(index), *weight)).collect()
    }

    fn slots(table: &[u16], index: usize) -> u32 {
        let owned = table.iter().filter(|slot| usize::from(**slot) == index).count();
        owned.try_into().unwrap()
    }

    #[test]
    fn a_list_of_none_has_an_empty_table() {
        assert!(table(&[]).is_empty());
    }

    #[test]
    fn every_size_is_a_prime() {
        for size in SIZES {
            assert!(
                (2..size)
                    .take_while(|by| u32::from(*by).pow(2) <= u32::from(size))
                    .all(|by| size % by != 0)
            );
        }
    }

    #[test]
    fn taking_a_replica_away_moves_few_keys_of_the_others() {
        let all = list(&[1; 10]);
        let (before, after) = (table(&all), table(&all[..9]));

        let moved = before.iter().zip(&after).filter(|(was, is)| **was != 9 && was != is).count();

        assert!(moved * 10 < before.len(), "{moved} of {}", before.len());
    }

    proptest! {
        #[test]
        fn slots_are_shared_by_weight(weights in prop::collection::vec(1_u32..10, 1..20)) {
            let table = table(&list(&weights));
            let total: u32 = weights.iter().sum();

            for (index, weight) in weights.iter().enumerate() {
                let share = f64::from(slots(&table, index));
                let all = f64::from(u32::try_from(table.len()).unwrap());
                let fair = all * f64::from(*weight) / f64::from(total);

                prop_assert!((share - fair).abs() <= fair * 0.1 + 2.0, "{share} instead of {fair}");
            }
        }
    }
}
