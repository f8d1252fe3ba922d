//! Who checks signatures: one crypto library, named here, so that which others are compiled in changes nothing.

#[cfg(feature = "aws-lc-rs")]
pub(crate) use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as PROVIDER;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
pub(crate) use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as PROVIDER;

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("portcullis-jwt-auth needs one of its features `aws-lc-rs` and `rust-crypto`");
