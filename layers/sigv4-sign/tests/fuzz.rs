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
fn a_body_in_chunks_passes_if_it_is_right_to_its_end_however_it_comes() {
    feed("aws_chunked", targets::aws_chunked);
}

#[test]
fn what_is_signed_has_the_signature_of_awss_own_signer() {
    feed("canonical", targets::canonical);
}

#[test]
fn an_authorization_passes_only_if_it_has_what_was_signed() {
    feed("authorization", targets::authorization);
}

#[test]
fn a_presigned_query_passes_only_if_it_has_what_was_signed() {
    feed("presigned", targets::presigned);
}
