//! What clients signed or chunked: what passes, what is refused, and when the inner service is called.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod frames;
mod wire;
mod sdk;
mod aws_chunked;
mod verification;
mod signed_chunks;
mod documentation;
mod round_trip;
#[cfg(feature = "serde")]
mod config;
