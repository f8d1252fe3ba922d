//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
#![cfg(feature = "aws-lc-rs")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "the plain reader is used elsewhere, too")]

#[path = "../fuzz/targets.rs"]
mod targets;

/// Feeds each seed of a target to it.
fn feed(name: &str, target: fn(&[u8])) {
    let folder = format!("{}/fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
    let seeds: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(seeds.len() >= 3, "{seeds:?}");
    for seed in seeds {
        target(&std::fs::read(seed).unwrap());
    }
}

#[test]
fn a_token_is_read_as_a_plain_reader_reads_it() {
    feed("token", targets::token);
}
