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
//!   object that is named is refused, unless [`AllowedHeaders`] has it: copy sources, ACLs, tags, locks, KMS keys, ..
//! - `Host` is what stands in the request, or the URI's authority. Without either nothing is sent.
//! - For S3, path and query are decoded and encoded once; a `+` is itself in a path and a space in a query. For others
//!   the path keeps its escapes and loses `//` and dot segments, which a signature does not cover.
//! - Signed are `host`, `content-type`, `content-md5`, `x-amz-*` and [`SignedHeaders`]; a value that is not visible
//!   ASCII is refused. Bodies are hashed, signed in chunks while they stream by, or go unsigned: [`Payload`].
//! - The signature is in `Authorization`, or in the query ([`Signing::presigned`]). [`Signing::presign`] makes a URL.
//! - Credentials of a provider are kept, refreshed ahead of their end, and used until they expire ([`RefreshPolicy`]).
//! - A `400` or `403` whose `Date` is four minutes to a day away corrects the time of later signatures: see [`ClockSkew`].
//! - A refusal is a response with [`NotSigned`] in its extensions. Nothing is ever sent unsigned.
//!
//! [`SigV4VerifyLayer`] is the other end: it lets requests through that clients signed by keys of your own, and decodes
//! their `aws-chunked` bodies. [`AwsChunkedLayer`] does the latter alone.
//!
//! The feature `metrics` counts `sigv4_sign_requests_total` (`service`, `payload`, `outcome`: `signed` or a reason) and
//! `sigv4_credentials_refresh_total` (`service`, `region`, `outcome`), and shows `sigv4_credentials_expiry_seconds` (Unix
//! time) and `sigv4_clock_skew_seconds` (added to this machine's time), both by `service` and `region`.
//!
//! # What it leaves to others
//!
//! - Hop-by-hop headers, to be removed above; and all that changes `Host`, the target or a signed header, to come above.
//! - Which operations a client may ask for, `?acl` or `DELETE` among them: by a route, or by what the credentials may do.
//! - A retry passes through the layer again, for a fresh signature.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod body;
mod handle;
mod body_error;
mod plain_body;
mod plain_future;
mod unverified;
mod verify;
mod aws_chunked;
mod signing;
mod scope;
#[cfg(feature = "sigv4a")]
mod region_set;
mod expires;
mod allowed_headers;
mod payload;
mod precomputed;
mod streaming;
mod checksum;
mod signed_headers;
mod refresh_policy;
mod environment_credentials;
mod profile_credentials;
mod not_signed;
mod signer;
mod plan;
mod claims;
mod target;
mod percent;
mod preparation;
mod collect;
mod source;
mod credential_store;
mod refresh;
mod meters;
mod clock;
mod canonical;
mod chunk_signature;
mod chunk_encoder;
mod stamp;
mod http_date;
mod algorithm;
mod key_cache;
mod authorization;
mod presigned;
#[cfg(test)]
mod suite;
#[cfg(feature = "schema")]
mod schema;

pub use allowed_headers::{AllowedHeaders, InvalidAllowance};
pub use aws_chunked::{AwsChunked, AwsChunkedLayer};
pub use body::SignedBody;
pub use body_error::SignedBodyError;
pub use checksum::Checksum;
pub use clock::ClockSkew;
pub use environment_credentials::EnvironmentCredentials;
pub use expires::{Expires, InvalidExpires};
pub use future::ResponseFuture;
pub use handle::SigV4Handle;
pub use layer::SigV4SignLayer;
pub use not_signed::NotSigned;
pub use payload::{Larger, Payload};
pub use plain_body::{PlainBody, PlainBodyError};
pub use plain_future::PlainFuture;
pub use precomputed::PayloadSha256;
pub use profile_credentials::ProfileCredentials;
pub use refresh_policy::RefreshPolicy;
#[cfg(feature = "sigv4a")]
#[cfg_attr(docsrs, doc(cfg(feature = "sigv4a")))]
pub use region_set::{InvalidRegionSet, RegionSet};
pub use scope::{InvalidName, Region, ServiceName};
pub use service::SigV4Sign;
pub use signed_headers::{SignedHeaders, UnsignableHeader};
pub use signing::Signing;
pub use streaming::{InvalidChunkSize, Streaming};
pub use unverified::Unverified;
pub use verify::{
    FixedKeys, SecretKey, SecretKeys, SigV4Verify, SigV4VerifyLayer, Verified, Verifying,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
