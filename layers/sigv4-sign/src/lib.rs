//! Signs requests with AWS Signature Version 4.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod body;
mod signing;
mod scope;
mod payload;
mod signed_headers;
mod not_signed;
mod signer;
mod claims;
mod target;
mod percent;
mod preparation;
mod collect;
mod source;
mod canonical;
mod stamp;
mod key_cache;
mod authorization;

pub use body::SignedBody;
pub use future::ResponseFuture;
pub use layer::SigV4SignLayer;
pub use not_signed::NotSigned;
pub use payload::{Larger, Payload};
pub use scope::{InvalidName, Region, ServiceName};
pub use service::SigV4Sign;
pub use signed_headers::{SignedHeaders, UnsignableHeader};
pub use signing::Signing;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
