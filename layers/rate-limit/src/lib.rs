//! Bounds how much of whom: so many requests, or what they cost, in a time, for each client, principal or route.
//!
//! One client must not use up what is there for all. [`RateLimitLayer`] takes of the allowance of each request's key, and
//! refuses what exceeds it with `429`. Its memory has a fixed size, which no flood of keys makes larger, and out of which
//! none makes fresh allowances.
//!
//! ```
//! use http::{Request, Response};
//! use portcullis_rate_limit::{Limit, Quota, RateLimitLayer, by_address, everyone};
//! use std::net::IpAddr;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let all: Quota = "1000/s".parse().unwrap();
//! let each: Quota = "1/m burst 1".parse().unwrap();
//! let layer = RateLimitLayer::new([
//!     Limit::new("all", all).key(everyone()),
//!     Limit::new("client", each).key(by_address(|parts| parts.extensions.get::<IpAddr>().copied())),
//! ])
//! .unwrap();
//! let app = layer.layer(service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(()))));
//!
//! assert_eq!(app.clone().oneshot(Request::new(())).await.unwrap().status(), 200);
//! let refused = app.oneshot(Request::new(())).await.unwrap();
//! assert_eq!(refused.status(), 429);
//! assert_eq!(refused.headers()["retry-after"], "60");
//! assert_eq!(refused.headers()["ratelimit"], r#""client";r=0;t=60"#);
//! # });
//! ```
//!
//! # How it decides
//!
//! By the generic cell rate algorithm: an allowance is one number, and comes back evenly. All limits of a layer are looked
//! at before one is taken of, so that a refused request uses up nothing. What costs more than a unit takes more
//! ([`Limit::cost`]); a limit may be [shadowed](Mode::Shadow), and requests [exempt](Limit::exempt), or let
//! [wait](LimitPolicy::wait). A limit may stand in several layers, which then share its allowances, and its quota may be
//! [changed](RateLimitHandle::change_quota) while it is in use.
//!
//! Each limit has a table of a fixed size ([`LimitPolicy::keys`]); a call looks at eight places of it. A key keeps its place
//! until its allowance is whole again. A new one that finds no place shares an allowance with all others of its eighth: a
//! flood gets one allowance for each place and each eight of them, whatever the number of its keys.
//!
//! A refusal says in `Retry-After`, rounded up, when the same request would be let through, and where the client stands in
//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11). A gRPC client gets `RESOURCE_EXHAUSTED`, and
//! the time in `grpc-retry-pushback-ms`. [`Throttled`] is in the extensions.
//!
//! The memory store never waits, and allocates nothing for what it lets through. With the feature `redis`, [`Redis`] shares
//! limits between machines, and lets through what it is told to when it is away.
//!
//! The feature `metrics` counts `rate_limit_decisions_total` by `limit` and `outcome` (`allowed`, `delayed`, `refused`,
//! `shadowed`, `exempt`, `unavailable`), and by `limit` `rate_limit_missing_keys_total`, `rate_limit_crowded_total` (requests
//! whose key found no place) and `rate_limit_evictions_total` (places given to another key, once the allowance was whole),
//! and `rate_limit_store_away_total` by `answer` (`open`, `closed`, `local`). It shows by `limit` `rate_limit_keys`, the
//! places that are taken, and `rate_limit_waiting`.
//! Its public API has types of `http`, `refusal`, `tower-layer` and `tower-service`.
//!
//! # What it leaves to others
//!
//! - Who the client is: what it sends of itself is not to be believed.
//! - How many requests may be under way at once.
//! - What was used by a client that left: it is spent.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "redis"),
    expect(rustdoc::broken_intra_doc_links, reason = "a feature's")
)]

mod layer;
mod service;
mod future;
mod handle;
mod refusals;
mod rejection;
mod invalid;
mod limit;
mod policy;
mod quota;
mod key;
mod key_of;
mod wait;
#[cfg(feature = "serde")]
mod section;
#[cfg(feature = "schema")]
mod schema;
mod store;
mod memory;
#[cfg(feature = "redis")]
mod redis_store;
#[cfg(feature = "redis")]
mod script;
mod gate;
mod fields;
mod ledger;
mod meters;
mod table;
mod bucket;
mod cell;
mod gcra;
mod sync;
#[cfg(all(test, loom))]
mod races;

pub use future::ResponseFuture;
pub use handle::RateLimitHandle;
pub use invalid::InvalidLimits;
pub use key::Key;
pub use key_of::{KeyOf, by_address, by_both, by_header, everyone};
pub use layer::RateLimitLayer;
pub use limit::Limit;
pub use memory::InMemory;
pub use policy::{Headers, LimitPolicy, MissingKey, Mode};
pub use quota::{InvalidQuota, Quota};
#[cfg(feature = "redis")]
pub use redis_store::{InvalidUrl, Redis, RedisAnswer, WhenAway};
pub use refusals::Refused;
pub use rejection::{Cause, Throttled};
pub use service::RateLimit;
pub use store::{Answer, Demand, Demands, KeptDemands, Store, Verdict};
pub use wait::Wait;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
