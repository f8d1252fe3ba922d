//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use portcullis_concurrency_limit::{Adaptive, ConcurrencyPolicy, Order, Queue};

fn read(file: &str) -> Result<ConcurrencyPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message(file: &str) -> String {
    read(file).expect_err(file).message().to_owned()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn a_limit_is_enough() {
    assert_eq!(read("limit = 100"), Ok(ConcurrencyPolicy::fixed(number(100))));
}

#[test]
fn all_of_it_is_read() {
    let file = "limit = 100\nretry_after = '5s'\nkeys = 10\nqueue = { most = 50, longest = '500ms', order = 'lifo' }";

    let queue = Queue::new(number(50), Duration::from_millis(500)).unwrap().order(Order::Lifo);
    let expected =
        ConcurrencyPolicy::fixed(number(100)).retry_after(Duration::from_secs(5)).queue(queue);
    let expected = expected.keys(NonZeroUsize::new(10).unwrap());
    assert_eq!(read(file), Ok(expected));
}

#[test]
fn an_adaptive_limit_is_read() {
    let adaptive = Adaptive::new(number(10), number(500), Duration::from_millis(250)).unwrap();
    let expected = ConcurrencyPolicy::adaptive(adaptive.clone());
    assert_eq!(read("limit = { min = 10, max = 500, latency = '250ms' }"), Ok(expected));

    let first = ConcurrencyPolicy::adaptive(adaptive.first(number(20)).unwrap());
    assert_eq!(read("limit = { min = 10, max = 500, first = 20, latency = '250ms' }"), Ok(first));
}

#[test]
fn what_the_documentation_shows_is_the_default_but_for_what_is_off() {
    let file = "limit = 100\nretry_after = '1s'\nkeys = 65536\nqueue = { most = 50, longest = '500ms', order = 'fifo' }";

    let queue = Queue::new(number(50), Duration::from_millis(500)).unwrap();
    assert_eq!(read(file), Ok(ConcurrencyPolicy::fixed(number(100)).queue(queue)));
}

#[test]
fn mistakes_are_explained() {
    assert!(message("").contains("missing field `limit`"));
    assert!(message("limit = 1\nlimits = 2").contains("unknown field `limits`"));
    assert!(message("limit = 0").contains("a number of requests, or a table"));
    assert!(message("limit = { min = 2, max = 1, latency = '1s' }").contains("between its least"));
    assert!(message("limit = 1\nqueue = { most = 1 }").contains("missing field `longest`"));
    assert!(message("limit = 1\nqueue = { most = 1, longest = '0s' }").contains("a duration like"));
    assert!(message("limit = 1\nqueue = { most = 1, longest = 5 }").contains("expected a string"));
}
