//! Lets only requests with a valid JSON Web Token through.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod rejection;
mod error;
mod claims;
mod policy;
mod source;
mod credential;
mod cookie;
mod query;
mod rule;
mod path;
mod scalar;
mod issuer;
mod key;
mod jwks;
mod public_key;
mod algorithm;
mod gate;
mod trust;
mod keys;
mod token;
mod json;
#[cfg(feature = "serde")]
mod config;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use issuer::Issuer;
pub use jwks::Jwks;
pub use key::Key;
pub use layer::JwtAuthLayer;
pub use path::ClaimPath;
pub use policy::Policy;
pub use rejection::Unauthorized;
pub use rule::ClaimRule;
pub use scalar::Scalar;
pub use service::JwtAuth;
pub use source::TokenSource;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
