//! Whatever comes as a token is read without a panic, and just as a slow and plain reader reads it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_jwt_auth::JwtAuthLayer;

#[path = "../tests/oracle/token.rs"]
mod oracle;

static LAYER: LazyLock<JwtAuthLayer> = LazyLock::new(oracle::layer);

fuzz_target!(|input: &[u8]| {
    oracle::compare(&LAYER, input);
    oracle::compare_signed(&LAYER, br#"{"alg":"HS256"}"#, input);
    if let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let (header, claims) = input.split_at(end);
        oracle::compare_signed(&LAYER, header, claims);
    }
});
