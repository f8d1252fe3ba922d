//! A body that holds a value until its last byte.
//!
//! A permit, a counter or a lock that is released when a response's *headers* are ready is released too early: the
//! body is still on its way. [`HeldBody`] keeps such a value for exactly as long as the body lasts.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::{BodyExt, Full};
//! use portcullis_held_body::HeldBody;
//! use std::sync::Arc;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let permit = Arc::new(());
//! let body = HeldBody::new(Full::new(Bytes::from("last words")), permit.clone());
//! assert_eq!(Arc::strong_count(&permit), 2);
//!
//! body.collect().await.unwrap();
//! assert_eq!(Arc::strong_count(&permit), 1);
//! # });
//! ```
//!
//! The value is dropped at the first of these: the inner body says that it has ended (at construction, too: a `HEAD`,
//! a `204`, an empty body), it yields trailers, `None` or an error, or the `HeldBody` itself is dropped.
//!
//! # What it leaves to others
//!
//! - How the body ended. Whoever needs to tell success from failure wraps the body itself.
//! - Upgrades. A `101` has no body to hold anything; what lives as long as a tunnel is held with the tunnel.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;

pub use body::HeldBody;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
