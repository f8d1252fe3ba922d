//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
fn a_quota_is_read_again_as_it_was_written() {
    feed("quota", targets::quota);
}
