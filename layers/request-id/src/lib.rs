//! Gives each request an id, and believes those of others only where they are trusted.
//!
//! One id names a request in every log, at the inner service and to the client. What a client sends as one may be 16,000 bytes
//! long, forge a line of a log, or be that of somebody else. [`RequestIdLayer`] makes an id of its own unless the sender is
//! trusted and what it sent is harmless, and says it everywhere: one layer, where others need two in the right order.
//!
//! ```
//! use http::{Request, Response};
//! use portcullis_request_id::{RequestId, RequestIdLayer};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio_test::block_on(async {
//! let app = RequestIdLayer::default().layer(service_fn(async |request: Request<()>| {
//!     let id = request.extensions().get::<RequestId>().unwrap().to_string();
//!     assert_eq!(request.headers()["x-request-id"], id);
//!     Ok::<_, ()>(Response::new(id))
//! }));
//!
//! let request = Request::get("/").header("x-request-id", "mine").body(()).unwrap();
//! let response = app.oneshot(request).await.unwrap();
//! assert_ne!(response.body(), "mine");
//! assert_eq!(response.headers()["x-request-id"], *response.body());
//! # });
//! ```
//!
//! # How it decides
//!
//! [`RequestIdPolicy`] says whom to [`Trust`] (by default nobody), in which headers ids come, and of what [`Format`] new ones
//! are. An id is 1 to 128 letters, digits and `-_.:/+=`, on one line; anything else is replaced, and so is what comes from who
//! is not trusted. All lines that came are taken off. The response gets the id, whatever the inner service says: refusals of layers
//! below, and gRPC's trailers-only responses, too. A failed call has no response, and no id.
//!
//! The id is in the extensions of request and response, and, [on demand](RequestIdLayer::keep_current), at hand for whatever runs
//! inside; [another](RequestIdLayer::in_span) option has the inner service work in a span.
//!
//! The feature `metrics` counts `request_id_total` by `source`: `generated`, `accepted`, `invalid`, `untrusted`.
//! Its public API has types of `http`, `ipnet`, `tower-layer` and `tower-service`.
//!
//! # What it leaves to others
//!
//! - Traces. An id may be that of a trace, and never the other way round.
//! - Secrets and proofs. An id of version 7 or a ULID tells when it was made.
//! - What is sent again: all attempts have the id of the request.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod request_id;
mod policy;
#[cfg(feature = "serde")]
mod section;
mod generator;
mod format;
mod trace_parent;
mod current;
mod gate;
mod meters;

pub use format::Format;
pub use future::ResponseFuture;
pub use generator::{Generator, MakeRequestId};
pub use layer::RequestIdLayer;
pub use policy::{RequestIdPolicy, Trust};
pub use request_id::{InvalidRequestId, RequestId};
pub use service::RequestIdService;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
