//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

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
fn a_path_that_passes_has_nothing_that_is_refused() {
    feed("path", targets::path);
}

#[test]
fn a_size_is_its_digits_times_its_unit() {
    feed("size", targets::size);
}

#[test]
fn a_pattern_of_hosts_means_what_it_ends_in() {
    feed("host", targets::host);
}

#[test]
fn a_range_of_types_means_itself_and_no_other_kind() {
    feed("media_range", targets::media_range);
}
