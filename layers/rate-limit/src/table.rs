//! The allowances of all keys, in memory of a fixed size.

use std::mem::size_of;
use std::num::NonZeroUsize;

use crate::bucket::{Bucket, Given, Outcome, PLACES, Receipt};
use crate::gcra::Pace;
use crate::sync::{AtomicU64, Ordering};

/// Buckets, of which a key's hash names one: no call looks at another.
pub(crate) struct Table {
    buckets: Box<[Bucket]>,
    keys: AtomicU64,
}

impl Table {
    /// With room for `keys`, rounded up to whole buckets.
    pub(crate) fn new(keys: NonZeroUsize) -> Self {
        let buckets = (0..keys.get().div_ceil(PLACES)).map(|_| Bucket::new()).collect();
        Self { buckets, keys: AtomicU64::new(0) }
    }

    pub(crate) fn look(&self, hash: u64, pace: Pace, now: u64) -> Option<Outcome> {
        Some(self.bucket(hash)?.look(key(hash), pace, now))
    }

    #[inline(always)] // so that most outcomes, which are large, are never written to memory
    pub(crate) fn take(&self, hash: u64, pace: Pace, now: u64) -> Option<Outcome> {
        let outcome = self.bucket(hash)?.take(key(hash), pace, now);
        if outcome.given == Some(Given::New) {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
        Some(outcome)
    }

    pub(crate) fn give_back(&self, hash: u64, receipt: Receipt, pace: Pace, now: u64) {
        if let Some(bucket) = self.bucket(hash) {
            bucket.give_back(receipt, pace, now);
        }
    }

    /// See [`Bucket::credit`].
    pub(crate) fn credit(&self, hash: u64, pace: Pace, now: u64) {
        if let Some(bucket) = self.bucket(hash) {
            bucket.credit(key(hash), pace, now);
        }
    }

    pub(crate) fn forget(&self, hash: u64) {
        if self.bucket(hash).is_some_and(|bucket| bucket.forget(key(hash))) {
            self.keys.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// See [`Cell::rescale`](crate::cell::Cell::rescale). It walks the whole table.
    pub(crate) fn rescale(&self, before: u64, interval: u64, whole: u64, now: u64) {
        self.buckets.iter().for_each(|bucket| bucket.rescale(before, interval, whole, now));
    }

    /// How many keys have a place, whether they still need it or not.
    pub(crate) fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// How many keys have used some of their allowance.
    pub(crate) fn used(&self, now: u64) -> usize {
        self.buckets.iter().map(|bucket| bucket.used(now)).sum()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.buckets.len() * PLACES
    }

    /// By the upper bits, in proportion.
    fn bucket(&self, hash: u64) -> Option<&Bucket> {
        let index = (u128::from(hash) * self.buckets.len() as u128) >> u64::BITS;
        self.buckets.get(usize::try_from(index).ok()?)
    }
}

/// No key is zero.
const fn key(hash: u64) -> u64 {
    if hash == 0 { 1 } else { hash }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::gcra::Taken;

    const INTERVAL: u64 = 10;
    const BURST: u32 = 3;

    fn table(keys: usize) -> Table {
        Table::new(NonZeroUsize::new(keys).unwrap())
    }

    fn pace(cost: u32) -> Pace {
        Pace::new(INTERVAL, NonZeroU32::new(BURST).unwrap(), NonZeroU32::new(cost).unwrap())
    }

    fn admits(table: &Table, hash: u64, now: u64) -> bool {
        matches!(table.take(hash, pace(1), now).unwrap().taken, Taken::Yes { .. })
    }

    /// Hashes that have nothing to do with each other.
    fn hash(number: u64) -> u64 {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }

    #[test]
    fn ten_million_keys_take_no_more_memory_than_one() {
        let table = table(65_536);
        let before = table.bytes();
        assert!(before <= 65_536 * 18 && table.capacity() == 65_536, "{before} bytes");

        let mut admitted = 0;
        for number in 0..10_000_000 {
            admitted += u64::from(admits(&table, hash(number), 0));
        }

        assert_eq!(table.bytes(), before);
        assert_eq!(table.keys(), 65_536);
        // Each place has what its first key took, each bucket a shared cell, and there is nothing else to be had.
        assert_eq!(admitted, 65_536 + 8_192 * u64::from(BURST));
    }

    #[test]
    fn a_flood_does_not_forget_who_is_at_the_limit() {
        let table = table(64);
        let victim = hash(0);
        for _ in 0..BURST {
            assert!(admits(&table, victim, 0));
        }

        for number in 1..100_000 {
            admits(&table, hash(number), 1);
        }

        assert!(!admits(&table, victim, 2));
    }

    #[test]
    fn a_place_is_free_again_when_its_allowance_is_whole() {
        let table = table(8);
        for number in 0..8 {
            assert!(admits(&table, hash(number), 0));
        }
        let late = |now| table.take(hash(99), pace(1), now).unwrap();

        assert!(late(INTERVAL - 1).shared);
        let outcome = late(INTERVAL);

        assert!(!outcome.shared && outcome.given == Some(Given::Anothers));
        assert_eq!(table.used(INTERVAL), 1);
    }

    #[test]
    fn looking_takes_nothing_and_says_what_taking_would() {
        let table = table(8);
        for number in 0..40 {
            let looked = table.look(hash(number % 13), pace(2), number).unwrap();
            let taken = table.take(hash(number % 13), pace(2), number).unwrap();

            assert_eq!(looked.taken, taken.taken);
            assert_eq!(looked.shared, taken.shared);
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let table = table(8);
        // Eight with a place, and one without.
        for number in 0..9 {
            let receipt = table.take(hash(number), pace(BURST), 0).unwrap().receipt.unwrap();
            assert!(!admits(&table, hash(number), 0));

            table.give_back(hash(number), receipt, pace(BURST), 0);

            assert!(matches!(
                table.look(hash(number), pace(BURST), 0).unwrap().taken,
                Taken::Yes { .. }
            ));
            let again = table.take(hash(number), pace(1), 0).unwrap();
            assert_eq!(again.shared, number == 8);
        }
    }

    #[test]
    fn more_than_there_ever_is_takes_no_place() {
        let table = table(8);

        let outcome = table.take(hash(1), pace(BURST + 1), 0).unwrap();

        assert_eq!(outcome.taken, Taken::No { retry: None });
        assert_eq!(table.keys(), 0);
    }

    #[test]
    fn who_is_forgotten_starts_anew() {
        let table = table(8);
        for _ in 0..BURST {
            assert!(admits(&table, hash(1), 0));
        }

        table.forget(hash(2));
        assert_eq!(table.keys(), 1);
        table.forget(hash(1));

        assert_eq!(table.keys(), 0);
        assert!(admits(&table, hash(1), 0));
    }

    proptest! {
        /// However keys come and go, none gets more than an allowance of its own and the shared ones of its table.
        #[test]
        fn no_order_of_keys_makes_a_fresh_allowance(
            steps in proptest::collection::vec((0..40_u64, 0..15_u64), 1..2_000),
        ) {
            let table = table(16);
            let mut now = 0;
            let mut own: HashMap<u64, u64> = HashMap::new();
            for (number, pause) in steps {
                now += pause;
                let outcome = table.take(hash(number), pace(1), now).unwrap();
                if !outcome.shared && matches!(outcome.taken, Taken::Yes { .. }) {
                    *own.entry(number).or_default() += 1;
                }
            }
            for (number, admitted) in own {
                prop_assert!(admitted <= u64::from(BURST) + now / INTERVAL, "{number}: {admitted}");
            }
        }
    }
}
