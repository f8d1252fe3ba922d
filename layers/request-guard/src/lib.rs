//! Bounds the URI, the header block and the body of a request.
//!
//! Whatever a client may send without limit, some client will. [`RequestGuardLayer`] refuses a request that is larger
//! than its [`Ceilings`], before the inner service sees it where the size is declared, and while the body passes where
//! it is not. It buffers nothing.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis_request_guard::{Ceilings, GuardedBody, RequestGuardLayer, TooLarge};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let app = service_fn(async |_: Request<GuardedBody<Full<Bytes>>>| Ok::<_, ()>(Response::new(())));
//! let service = RequestGuardLayer::new(Ceilings::new().max_body(3)).layer(app);
//!
//! let response = service.oneshot(Request::new(Full::from("four"))).await.unwrap();
//! assert_eq!(response.status(), 413);
//! assert_eq!(response.extensions().get::<TooLarge>().unwrap().limit(), 3);
//! # });
//! ```
//!
//! A URI that is too long is refused with `414`, a header block with too many lines or bytes with `431`, a body with
//! `413`; a gRPC client is told `RESOURCE_EXHAUSTED`. A body whose `Content-Length` or size hint is within the ceiling
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
//! - Responses.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod body;
mod body_error;
mod rejection;
mod ceilings;
mod alarm;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "schema")]
mod schema;

pub use body::GuardedBody;
pub use body_error::GuardedBodyError;
pub use ceilings::Ceilings;
pub use future::ResponseFuture;
pub use layer::RequestGuardLayer;
pub use rejection::{Part, TooLarge};
pub use service::RequestGuard;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
