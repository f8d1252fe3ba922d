//! Signatures of clients.

mod layer;
mod service;
mod verifying;
mod secret_key;
mod verified;
mod gate;
mod claim;
mod presigned;
mod payload_claim;
mod canonical;
mod instant;
mod day_keys;
#[cfg(test)]
mod suite;

pub use layer::SigV4VerifyLayer;
pub use secret_key::{FixedKeys, SecretKey, SecretKeys};
pub use service::SigV4Verify;
pub use verified::Verified;
pub use verifying::Verifying;
