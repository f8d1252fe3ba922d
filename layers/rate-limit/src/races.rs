//! What threads do to a bucket at once, every way that loom finds.

use std::num::NonZeroU32;

use loom::sync::Arc;
use loom::thread;

use crate::bucket::{Bucket, PLACES};
use crate::gcra::{Pace, Taken};

fn pace(burst: u32) -> Pace {
    Pace::new(10, NonZeroU32::new(burst).unwrap(), NonZeroU32::MIN)
}

fn took(bucket: &Bucket, key: u64, burst: u32, now: u64) -> u32 {
    u32::from(matches!(bucket.take(key, pace(burst), now).taken, Taken::Yes { .. }))
}

#[test]
fn two_who_bring_a_key_first_share_its_allowance() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new());
        let other = bucket.clone();
        let thread = thread::spawn(move || took(&other, 7, 1, 0));

        let mine = took(&bucket, 7, 1, 0);

        assert_eq!(mine + thread.join().unwrap(), 1);
    });
}

#[test]
fn a_key_that_loses_its_place_while_it_takes_takes_nothing_of_the_next() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new());
        // All places have an owner whose allowance is whole at 10, but the first one's takes long.
        for key in 1..=PLACES as u64 {
            assert_eq!(took(&bucket, key, 1, if key == 1 { 0 } else { 10 }), 1);
        }
        let other = bucket.clone();
        // At 10 the first place is free: its owner takes, and another key wants it.
        let thread = thread::spawn(move || took(&other, 1, 1, 10));

        let new = bucket.take(99, pace(1), 10);

        let old = thread.join().unwrap();
        assert!(matches!(new.taken, Taken::Yes { .. }), "its own, or the one that is shared");
        // Both are let through, unless both had to share.
        assert!(old == 1 || new.shared || took(&bucket, 99, 1, 10) == 0);
        assert_eq!(took(&bucket, 99, 1, 11), 0, "no more than its allowance");
    });
}

#[test]
fn what_is_given_back_beside_a_taker_is_there_once() {
    loom::model(|| {
        let bucket = Arc::new(Bucket::new());
        let receipt = bucket.take(7, pace(2), 0).receipt.unwrap();
        let other = bucket.clone();
        let thread = thread::spawn(move || took(&other, 7, 2, 0));

        bucket.give_back(receipt, pace(2), 0);

        assert_eq!(thread.join().unwrap(), 1);
        assert_eq!(took(&bucket, 7, 2, 0), 1);
        assert_eq!(took(&bucket, 7, 2, 0), 0);
    });
}
