//! Removes hop-by-hop headers, sees to it that a client names one host, and decides which `Host` the upstream sees.
//!
//! Some headers speak of one connection only, and a client may name more of them in `Connection`. A proxy that passes
//! them on lets a client switch protocols behind its back, or delete what the proxy itself has added. A client may name
//! two hosts, of which the proxy goes by one and the upstream by the other. And it names the proxy in `Host`, where an
//! upstream wants its own name. [`HopByHopLayer`], [`ClientHostLayer`] and [`HostStripLayer`] see to one each.
//!
//! ```
//! use http::Request;
//! use http::header::HeaderName;
//! use portcullis_host_strip::{
//!     ClientHost, ClientHostLayer, HopByHop, HopByHopLayer, HostPolicy, HostStripLayer,
//! };
//! use tower_layer::Layer;
//! # let upstream = ();
//!
//! let host = HostStripLayer::new(HostPolicy::FromUri).preserve_as(HeaderName::from_static("x-forwarded-host"));
//! let hop_by_hop = HopByHopLayer::new(HopByHop::default());
//! let service = ClientHostLayer::new(ClientHost::default()).layer(hop_by_hop.layer(host.layer(upstream)));
//!
//! // The decision alone, without tower:
//! let mut request = Request::builder().header("connection", "x-mine, host").header("x-mine", "1").body(()).unwrap();
//! let stripped = HopByHop::default().strip_request(&mut request).unwrap();
//! assert!(request.headers().is_empty());
//! assert_eq!(stripped.ignored().protected(), 1); // nobody nominates `host`
//! ```
//!
//! # How it decides
//!
//! - One pass over the names; a message without hop-by-hop fields is not touched ([`HopByHop`] lists them).
//! - Every `Connection` line counts, up to 16 nominations. A malformed one, or one for a field that is not the sender's
//!   to remove, is ignored and counted, or answered with 400.
//! - Upgrades are denied unless the policy has them ([`Upgrade`]); one to HTTP itself always is.
//! - `te: trailers` and `trailer` stay, since trailers do not work without them. `content-length` is never touched.
//! - The authority of the request target outranks `Host`; userinfo is never passed on ([`HostPolicy`]).
//! - Two hosts, or something that is no host, are refused, unless the policy has another answer ([`ClientHost`]).
//!
//! A refused request gets 400, or 500 where the URI has no authority to name; a response that breaks the rules of
//! framing or of upgrades becomes 502. The reason is in the extensions: [`Violation`], [`AmbiguousHost`],
//! [`NoAuthority`].
//!
//! The feature `metrics` counts `host_strip_headers_removed_total{direction,kind}` (`fixed`, `nominated`, `extra`),
//! `host_strip_rejected_total{reason}`, and what was not rejected as `host_strip_ignored_total{reason}`.
//!
//! # What it leaves to others
//!
//! - The URI, and `:authority` with it. It must name the upstream before the request reaches an HTTP client.
//! - `Via`, `Forwarded` and `X-Forwarded-*`, other than the one that `preserve_as` names.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod hop_by_hop;
mod client_host;
mod host;
mod meters;

pub use client_host::{
    AmbiguousHost, ClientHost, ClientHostHandle, ClientHostLayer, ClientHostService, OnAmbiguity,
};
pub use hop_by_hop::{
    Asked, HeaderPrefix, HopByHop, HopByHopFuture, HopByHopHandle, HopByHopLayer, HopByHopService,
    Ignored, InvalidPrefix, InvalidProtocol, OnViolation, Protocol, Removed, Stripped, Upgrade,
    Violation,
};
pub use host::{HostPolicy, HostStrip, HostStripFuture, HostStripLayer, NoAuthority, OriginalHost};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
