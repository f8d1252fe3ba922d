//! Signs requests with AWS Signature Version 4.
//!
//! A gateway that serves a bucket holds the credentials, so that clients need none. What it signs must be what it sends,
//! to the byte: this layer first brings a request into the form that is signed, then signs it, last before the wire.
//!
//! ```
//! # use std::convert::Infallible;
//! use aws_credential_types::Credentials;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use portcullis_sigv4_sign::{Region, ServiceName, SigV4SignLayer, SignedBody, Signing};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let signing = Signing::new(ServiceName::new("s3").unwrap(), Region::new("eu-west-1").unwrap());
//! let credentials = Credentials::new("id", "secret", None, None, "docs");
//! let bucket = service_fn(|request: Request<SignedBody<Empty<Bytes>>>| async move {
//!     assert_eq!(request.uri(), "https://bucket.example/a%2Bb?list-type=2");
//!     assert!(request.headers()["authorization"].as_bytes().starts_with(b"AWS4-HMAC-SHA256 "));
//!     Ok::<_, Infallible>(Response::new(()))
//! });
//! let service = SigV4SignLayer::new(signing, credentials).layer(bucket);
//!
//! let request = Request::get("https://bucket.example/a+b?list-type=2").body(Empty::new()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
//! # });
//! ```
//!
//! - The client's own signature is dropped. An `x-amz-*` header that would use the rights of the credentials beyond the
//!   object that is named is refused: copy sources, ACLs and grants, tags, locks, KMS keys, payment, redirects, MFA.
//! - `Host` is what stands in the request, or the URI's authority. Without either nothing is sent.
//! - For S3, path and query are decoded and encoded once; a `+` is itself in a path and a space in a query. For others
//!   the path keeps its escapes and loses `//` and dot segments, which a signature does not cover.
//! - Signed are `host`, `content-type`, `content-md5`, `x-amz-*` and [`SignedHeaders`]; a value that is not visible
//!   ASCII is refused. Bodies are hashed or go unsigned, as [`Payload`] says.
//! - A refusal is a response with [`NotSigned`] in its extensions. Nothing is ever sent unsigned.
//!
//! [`SigV4VerifyLayer`] is the other end: it lets requests through that clients signed by keys of your own, and decodes
//! their `aws-chunked` bodies. [`AwsChunkedLayer`] does the latter alone.
//!
//! # What it leaves to others
//!
//! - Hop-by-hop headers, to be removed above; and all that changes `Host`, the target or a signed header, to come above.
//! - Which operations a client may ask for, `?acl` or `DELETE` among them: by a route, or by what the credentials may do.
//! - Caching and refreshing credentials. A retry passes through the layer again, for a fresh signature.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod body;
mod plain_body;
mod plain_future;
mod unverified;
mod verify;
mod aws_chunked;
mod signing;
mod scope;
mod payload;
#[cfg_attr(not(test), expect(dead_code, reason = "trailers are made of it next"))]
mod checksum;
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
mod chunk_signature;
mod stamp;
mod key_cache;
mod authorization;
#[cfg(test)]
mod suite;

pub use aws_chunked::{AwsChunked, AwsChunkedLayer};
pub use body::SignedBody;
pub use checksum::Checksum;
pub use future::ResponseFuture;
pub use layer::SigV4SignLayer;
pub use not_signed::NotSigned;
pub use payload::{Larger, Payload};
pub use plain_body::{PlainBody, PlainBodyError};
pub use plain_future::PlainFuture;
pub use scope::{InvalidName, Region, ServiceName};
pub use service::SigV4Sign;
pub use signed_headers::{SignedHeaders, UnsignableHeader};
pub use signing::Signing;
pub use unverified::Unverified;
pub use verify::{
    FixedKeys, SecretKey, SecretKeys, SigV4Verify, SigV4VerifyLayer, Verified, Verifying,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
