//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

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
fn a_proxy_header_is_read_in_bounds_and_never_beyond_its_end() {
    feed("proxy", targets::proxy);
}

#[test]
fn a_configuration_is_read_or_what_is_wrong_with_it_is_said() {
    feed("config", targets::config);
}

#[test]
fn a_certificate_is_read_or_it_is_none() {
    feed("certificate", targets::certificate);
}

#[test]
fn a_path_that_is_judged_leads_nowhere_else() {
    feed("path", targets::path);
}

#[test]
fn an_error_of_s3_is_understood_however_it_comes() {
    feed("s3_error", targets::s3_error);
}
