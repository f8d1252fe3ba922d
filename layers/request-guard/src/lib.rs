//! Refuses requests that are too large, or unfit for what is behind: by method, host, path, headers, type of body.
//!
//! Whatever a client may send without limit, some client will, and whatever two readers of a request can take for two
//! things, some client will send as well. [`RequestGuardLayer`] refuses what its [`Policy`] does not let pass, before the
//! inner service sees it where that can be known, and while the body passes where it cannot. It buffers nothing.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Method, Request, Response};
//! use http_body_util::Full;
//! use portcullis_request_guard::{GuardedBody, Paths, Policy, RequestGuardLayer, TooLarge};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let app = service_fn(async |_: Request<GuardedBody<Full<Bytes>>>| Ok::<_, ()>(Response::new(())));
//! let policy = Policy::ceilings().max_body(3).methods([Method::PUT]).paths(Paths::strict());
//! let service = RequestGuardLayer::new(policy).layer(app);
//!
//! let request = Request::put("/a").body(Full::from("four")).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.status(), 413);
//! assert_eq!(response.extensions().get::<TooLarge>().unwrap().limit(), 3);
//! # });
//! ```
//!
//! A URI that is too long is refused with `414`, a header block with too many lines or bytes with `431`, a body with
//! `413`; a gRPC client is told `RESOURCE_EXHAUSTED`. What is [`Unfit`] is refused with `421` (host), `400` (path, missing
//! header), `405` (method) or `415` (type of body), in this order. A request that passes costs no allocation, unless its
//! path has a `%` or is normalised.
//!
//! A body whose `Content-Length` or size hint is within the ceiling
//! is counted all the same, and costs no allocation; one of unknown size costs one. When it turns out too large while
//! the inner service is at work, whoever reads it gets [`GuardedBodyError::TooLarge`], and the client gets the `413`
//! at once, whatever the inner service makes of that. Once the inner service has answered, only the reader is told.
//!
//! Trailers count towards nothing. Neither does what the HTTP parser refuses before any layer: its own limits should
//! stand above these.
//!
//! # What it leaves to others
//!
//! - The connection. After a `413` the rest of the body is still on its way: reading some of it, so that the client
//!   sees the answer, and closing are the server's business.
//! - Slow bodies. A ceiling is no time limit.
//! - What bodies hold: nothing is parsed or decompressed, and no word in a request is suspicious.
//! - Responses.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod body;
mod body_error;
mod rejection;
mod policy;
mod host_pattern;
mod media_range;
mod paths;
mod judge;
mod flaw;
mod alarm;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "schema")]
mod schema;

pub use body::GuardedBody;
pub use body_error::GuardedBodyError;
pub use flaw::Flaw;
pub use future::ResponseFuture;
pub use host_pattern::{HostPattern, InvalidHost};
pub use layer::RequestGuardLayer;
pub use media_range::{InvalidMediaRange, MediaRange};
pub use paths::{Paths, Treatment, Verdict};
pub use policy::Policy;
pub use rejection::{Part, TooLarge, Unfit};
pub use service::RequestGuard;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
