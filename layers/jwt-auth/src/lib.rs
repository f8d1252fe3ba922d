//! Lets only requests with a valid JSON Web Token through.
//!
//! A token is a claim until its signature is checked with a key that was meant for it. [`JwtAuthLayer`] believes only
//! what its keys and issuers say, never what a token says about itself: the key names the algorithm, `crit`, `jku` and
//! the like have no effect but refusal, and a layer without a usable key is not built.
//!
//! ```
//! use portcullis_jwt_auth::{Algorithm, ClaimRule, Issuer, JwtAuthLayer, Key, Policy};
//! use tower_layer::Layer;
//! # let upstream = ();
//! # let pem = include_str!("../tests/keys/rsa.pem");
//!
//! let key = Key::pem(pem, [Algorithm::RS256])?.kid("2026-11");
//! let issuer = Issuer::new([key]).issuer("https://id.example").audience(["api"]);
//! let policy = Policy::new().claims([ClaimRule::contains("realm_access.roles", "ops")]);
//!
//! let service = JwtAuthLayer::new(policy, [issuer])?.layer(upstream);
//! # Ok::<(), portcullis_jwt_auth::ConfigError>(())
//! ```
//!
//! # How it decides
//!
//! The token comes from the one [`TokenSource`] that has it, is at most 16 KiB of three segments, and says nothing twice.
//! Its `iss` picks the [`Issuer`] among several, its `kid` and `alg` pick keys, one of them must have signed it, and then
//! time, audience, [`Typ`], each [`ScopeRule`] and each [`ClaimRule`] are checked, and a [`TokenStatus`] is asked if there
//! is one. The inner service finds [`Claims`] in the request's extensions, and no token anywhere: what the sources read is
//! taken out, used or not.
//!
//! No token: `401` and `Bearer`. An invalid one: `401` and `invalid_token`. A valid one that is not allowed: `403` and
//! `insufficient_scope`. Two tokens, or a malformed header: `400` and `invalid_request` (RFC 6750 §3.1). gRPC clients get
//! the same in gRPC. [`Unauthorized`] in the response's extensions says why. [`MetadataLayer`] tells clients where to get a
//! token (RFC 9728).
//!
//! A verified token is remembered within [`CacheLimits`], while its key is trusted; all else is checked again.
//!
//! [`Issuer::jwks_url`] and [`Issuer::discovery`] ask for keys as a [`RefreshPolicy`] says; requests read them without a
//! lock. A token with a new `kid`, or before there are keys, waits for the one fetch under way, a task that ends with the
//! layer. Old keys serve while the issuer is away. Where nobody can tell, the answer is `503` with `Retry-After`.
//!
//! Unless told otherwise `exp` must be there, clocks may differ by 60 seconds, and `aud` and `typ` are ignored.
//! Its public API has types of `bytes`, `serde`, `serde_json`, `http-body` and `tower-service`.
//!
//! The feature `metrics` counts `jwt_auth_requests_total` by `outcome` (`allowed`, `refused`) and `reason` (`token`, `no_token`
//! and `preflight`; [`Unauthorized::reason`]), `jwt_auth_token_cache_hits_total`, `_misses_total` and `_evictions_total`,
//! `jwt_auth_verify_seconds`; and by `issuer` (its name, else the URL) `jwt_auth_key_set_refreshes_total` by `outcome` (`ok`,
//! [`RefreshError::reason`]), `jwt_auth_unknown_keys_total`, `jwt_auth_keys` by `state` (`usable`, `skipped`), and
//! `jwt_auth_key_set_timestamp_seconds`. The current span is told `auth.outcome` (`allowed`, or the reason), `auth.issuer` and
//! `auth.kid`, if it has such fields, and `enduser.id` by [`Policy::trace_subject`].
//!
//! # What it leaves to others
//!
//! - HTTP: the service that fetches keys connects, and checks certificates.
//! - Revocation: without a [`TokenStatus`] a token is valid until it expires.
//! - Cross-site requests, for tokens in cookies; logs outside of it, for tokens in URLs; answers to CORS preflights.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod rejection;
mod error;
mod claims;
mod policy;
mod typ;
mod scope_rule;
mod cache_limits;
mod source;
mod credential;
mod preflight;
mod cookie;
mod query;
mod rule;
mod path;
mod scalar;
mod issuer;
mod key;
mod jwks;
mod public_key;
mod curve;
mod der;
mod algorithm;
mod backend;
mod gate;
mod grant;
mod later;
mod token_status;
mod challenge;
mod cache;
mod cache_status;
mod weight;
mod valid;
mod times;
mod trust;
mod key_source;
mod keys;
mod remote;
mod location;
mod key_fetcher;
mod fetch;
mod store;
mod desk;
mod snapshot;
mod sync;
mod refresh;
mod refresh_policy;
mod refresh_error;
mod refresher;
mod handle;
mod meters;
mod request_meters;
mod trace;
mod token;
mod json;
#[cfg(test)]
mod vectors;
mod resource;
mod resource_metadata;
mod metadata_layer;
mod metadata;
mod metadata_future;
mod bytes_body;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "serde")]
mod duration;

pub use algorithm::Algorithm;
pub use bytes_body::{BytesBody, FromBytes};
pub use cache_limits::CacheLimits;
pub use cache_status::CacheStatus;
pub use claims::Claims;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use handle::{JwtAuthHandle, KeySetStatus};
pub use issuer::Issuer;
pub use jwks::Jwks;
pub use key::Key;
pub use key_fetcher::KeyFetcher;
pub use layer::JwtAuthLayer;
pub use metadata::Metadata;
pub use metadata_future::MetadataFuture;
pub use metadata_layer::MetadataLayer;
pub use path::ClaimPath;
pub use policy::Policy;
pub use refresh_error::RefreshError;
pub use refresh_policy::RefreshPolicy;
pub use refresher::Refresher;
pub use rejection::Unauthorized;
pub use resource_metadata::ResourceMetadata;
pub use rule::ClaimRule;
pub use scalar::Scalar;
pub use scope_rule::ScopeRule;
pub use service::JwtAuth;
pub use source::TokenSource;
pub use token_status::{TokenStatus, Verdict};
pub use typ::Typ;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
