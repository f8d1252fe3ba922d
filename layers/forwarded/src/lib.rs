//! Finds out who the client is behind trusted proxies, and tells the next hop.
//!
//! The address that a connection comes from is a proxy's, and what a request says of its way may be what a client made up.
//! [`ForwardedLayer`] goes from the right to the left as far as proxies are trusted, puts the one [`Client`] that all others
//! go by into the extensions, and lets no made-up header reach the next hop.
//!
//! ```
//! use http::{Request, Response};
//! use portcullis_forwarded::{Client, ForwardedLayer, ForwardedPolicy, Peer};
//! use std::net::IpAddr;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let policy = ForwardedPolicy::new().trusted(["10.0.0.0/8".parse().unwrap()]);
//! let layer = ForwardedLayer::new(policy, |parts: &http::request::Parts| {
//!     parts.extensions.get::<IpAddr>().copied().map(Peer::new) // as whoever accepts puts it there
//! });
//! let app = layer.layer(service_fn(async |request: Request<()>| {
//!     let client = request.extensions().get::<Client>().unwrap().address();
//!     Ok::<_, ()>(Response::new(client.to_string()))
//! }));
//!
//! let request = Request::get("/")
//!     .header("x-forwarded-for", "203.0.113.1, 192.0.2.7") // the first is made up
//!     .extension(IpAddr::from([10, 0, 0, 1]));
//! let response = app.oneshot(request.body(()).unwrap()).await.unwrap();
//! assert_eq!(response.body(), "192.0.2.7");
//! # });
//! ```
//!
//! # How it decides
//!
//! A peer that is not trusted is the client. Of a trusted one the header that [`Source`] names is believed, over all its lines:
//! the client is the right-most address that is no trusted proxy's, or the left-most if all are. Where a proxy says `unknown`,
//! something obfuscated, or what makes no sense, nothing further to the left is believed: the client is whoever is known
//! last, and [`Client::is_known`] says so. A line of `Forwarded` (RFC 7239) that breaks the grammar makes no sense as a whole.
//!
//! All that is about the client is removed: nobody behind it reads what was made up. A proxy tells its own next hop what is
//! believed, by a [`TellLayer`]: in `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, or in `Forwarded` ([`NextHop`]).
//!
//! Neither refuses anything, so that they may stand above what logs and answers. Two others do, and may stand below that:
//! [`LetInLayer`] allows and denies clients by address (`403`), and [`ViaLayer`] adds a name to `Via` and refuses what has been
//! here before (`508`); [`NotLetIn`] is in the extensions.
//! Its public API has types of `http`, `ipnet`, `refusal`, `tower-layer` and `tower-service`.
//!
//! # What it leaves to others
//!
//! - The PROXY protocol: whoever accepts the connection reads it, and says so through [`PeerOf`].
//! - `Connection` headers that name these: they are taken off before, or a client removes what is written here.
//! - What is done with the address.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod client;
mod peer;
mod policy;
mod proxy;
#[cfg(feature = "serde")]
mod section;
mod tell;
mod let_in;
mod via;
mod future;
mod rejection;
mod resolve;
mod host;
mod strip;
mod element;
mod node;

pub use client::Client;
pub use element::{Element, InvalidForwarded};
pub use future::ResponseFuture;
pub use layer::ForwardedLayer;
pub use let_in::{Addresses, LetIn, LetInLayer};
pub use node::Node;
pub use peer::{Peer, PeerOf};
pub use policy::{ForwardedPolicy, NextHop, Source};
pub use proxy::{InvalidNetwork, Proxy};
pub use rejection::NotLetIn;
pub use service::Forwarded;
pub use tell::{Tell, TellLayer};
pub use via::{InvalidPseudonym, Pseudonym, Via, ViaLayer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
