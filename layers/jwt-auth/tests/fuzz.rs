//! What is worth keeping of what fuzzers feed, on any compiler; `fuzz/` feeds more.
#![cfg(feature = "aws-lc-rs")]
#![expect(
    clippy::expect_used,
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

#[test]
fn a_key_is_used_or_skipped_whatever_stands_beside_it() {
    feed("key_set", targets::key_set);
}

#[test]
fn a_public_key_is_one_of_one_kind_in_each_of_its_forms() {
    feed("public_key", targets::public_key);
}

#[test]
fn a_token_that_was_believed_is_taken_out_and_nothing_else() {
    feed("credential", targets::credential);
}
