use std::sync::LazyLock;

use portcullis_jwt_auth::JwtAuthLayer;

#[path = "../tests/oracle/token.rs"]
mod oracle;

static LAYER: LazyLock<JwtAuthLayer> = LazyLock::new(oracle::layer);

/// Whatever comes as a token is read without a panic, and just as a slow and plain reader reads it: as it is, as the claims
/// of a token that is signed, and up to its first line as the header of one.
pub(crate) fn token(input: &[u8]) {
    oracle::compare(&LAYER, input);
    oracle::compare_signed(&LAYER, br#"{"alg":"HS256"}"#, input);
    if let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let (header, claims) = input.split_at(end);
        oracle::compare_signed(&LAYER, header, claims);
    }
}
