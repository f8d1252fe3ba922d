//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
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
fn what_connection_names_is_gone_and_what_it_must_not_name_stays() {
    feed("connection", targets::connection);
}

#[test]
fn a_request_that_passes_names_one_host() {
    feed("client_host", targets::client_host);
}
