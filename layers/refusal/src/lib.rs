//! The answer to a refused request, for HTTP and for gRPC clients.
//!
//! A layer that refuses answers itself: with a status, a few headers, no body, and the reason where the layers above
//! and the access log can find it. A gRPC client would take that for a broken proxy, so it gets the same refusal as a
//! *trailers-only* response: `200`, `content-type: application/grpc`, `grpc-status` and `grpc-message`.
//!
//! ```
//! use http::{Request, StatusCode};
//! use portcullis_refusal::{Dialect, Refusal, Refused};
//!
//! let request = Request::get("/").header("content-type", "application/grpc").body(()).unwrap();
//! let dialect = Dialect::of(request.headers());
//!
//! let refusal = Refusal::new(StatusCode::FORBIDDEN, "not_yours", "the token is for someone else");
//! let response = refusal.into_response(dialect, ());
//!
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["grpc-status"], "7");
//! assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "not_yours");
//! ```
//!
//! # What it leaves to others
//!
//! - Words. A layer further out may give the empty body a text: [`Refused`] has what it needs.
//! - Refusing. Which request is refused, and why, is the business of the layer that uses this.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod refusal;
mod refused;
mod dialect;
mod grpc_status;
mod empty_body;

pub use dialect::Dialect;
pub use empty_body::{DefaultBody, EmptyBody};
pub use grpc_status::GrpcStatus;
pub use refusal::Refusal;
pub use refused::Refused;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
