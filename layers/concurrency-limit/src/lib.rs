//! Bounds how many requests are under way, each until its response's last byte.
//!
//! A service has room for so many requests at once, and a response that is still on its way is one of them. [`tower`'s
//! own limit](https://docs.rs/tower) lets go at the headers, so that any number of slow bodies pass. [`ConcurrencyLimitLayer`]
//! keeps a request's place until its body has ended, and a tunnel's until that does.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy};
//! use std::num::NonZeroU32;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let one = ConcurrencyPolicy::fixed(NonZeroU32::new(1).unwrap());
//! let layer = ConcurrencyLimitLayer::new("app", one);
//! let app = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(Full::<Bytes>::from("hello"))));
//! let app = layer.layer(app);
//!
//! let first = app.clone().oneshot(Request::new(())).await.unwrap();
//! assert_eq!(app.clone().oneshot(Request::new(())).await.unwrap().status(), 503);
//! drop(first);
//! assert_eq!(app.oneshot(Request::new(())).await.unwrap().status(), 200);
//! # });
//! ```
//!
//! # How it decides
//!
//! A limit is fixed, or [adapts](Adaptive) to how long answers take. A request that finds no place waits in a [`Queue`], if
//! there is one: it is bounded in number and time, and the first or the last comes first. One that leaves makes room. Whoever
//! gets no place, or not in time, is answered with `503` and `Retry-After`, or its gRPC form (`UNAVAILABLE`), without waiting
//! for the inner service, and with [`Overloaded`] in the extensions. There may be a limit
//! [for each key](ConcurrencyLimitLayer::per_key); nothing is kept of a key that has no request under way.
//!
//! All services of a layer share its places. Taking one and giving it back is a change of one atomic word, and allocates
//! nothing; only who waits takes a lock. With keys, each request takes one of 64 locks twice.
//!
//! The feature `metrics` counts by `name`: `concurrency_limit_requests_total` by `outcome` (`admitted`, `full`, `late`), and
//! shows `concurrency_limit_under_way`, `concurrency_limit_waiting` and `concurrency_limit_limit`.
//! Its public API has types of `http`, `http-body`, `held-body`, `refusal`, `tower-layer` and `tower-service`.
//!
//! # What it leaves to others
//!
//! - How long a request may take: one that never ends keeps its place.
//! - How often a client may ask.
//! - Tunnels: whoever relays one holds the [`TunnelPermit`] in the extensions of the `101` until it ends.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod permit;
mod handle;
mod rejection;
mod policy;
mod adaptive;
mod invalid;
#[cfg(feature = "serde")]
mod section;
#[cfg(feature = "schema")]
mod schema;
mod gate;
mod terms;
mod keys;
mod meters;
mod limiter;
mod sync;
#[cfg(all(test, loom))]
mod races;

pub use adaptive::Adaptive;
pub use future::ResponseFuture;
pub use handle::ConcurrencyLimitHandle;
pub use invalid::InvalidPolicy;
pub use layer::ConcurrencyLimitLayer;
pub use permit::{Permit, TunnelPermit};
pub use policy::{ConcurrencyPolicy, Order, Queue};
pub use rejection::{Overloaded, Why};
pub use service::ConcurrencyLimit;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
