//! Sets, appends, replaces, removes, renames and copies headers by one ordered list of rules.
//!
//! What an upstream may trust must not come from a client, and what a client may see is not all that an upstream
//! says. Both are a few header rules, which belong in the configuration, are checked when they are read, and cost a
//! request nothing but the lookups.
//!
//! ```
//! use http::header::{HeaderName, HeaderValue, SERVER};
//! use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule};
//! use tower_layer::Layer;
//! # let upstream = ();
//!
//! let feature = HeaderName::from_static("x-feature");
//! let policy = HeaderInject::new()
//!     .request(HeaderRules::new([Rule::set(feature, HeaderValue::from_static("on"))])?)
//!     .response(HeaderRules::new([Rule::remove(SERVER)])?);
//! let service = HeaderInjectLayer::new(policy)?.layer(upstream);
//! # Ok::<_, portcullis_header_inject::InvalidRule>(())
//! ```
//!
//! Rules act in the order of their list, each on what the ones before it left. A name that decides how a message is
//! framed or belongs to one connection (`content-length`, `transfer-encoding`, `connection`, ...) is refused when the
//! list is made; `authorization` and `host` must be allowed rule by rule, and a header that may stand only once is
//! never appended. Setting a value allocates nothing, unless the header map is full and grows.
//!
//! A [`Value`] may be a [`Secret`] that is replaced while it is in use. In a request rule it may also be what each request
//! says ([`Value::from_request`]), or have a name that the application resolves once ([`HeaderInjectLayer::resolving`];
//! `from` in a file). Where a request says nothing, `set` still removes what the client sent, unless [`OnMissing`] has it
//! otherwise. A rule may have a [`Condition`].
//!
//! On requests, a header that differs from one that a rule decides in `-` and `_` alone is dropped: an upstream that
//! speaks CGI cannot tell `x_user` from `x-user`.
//!
//! A request that lacks what it must not go without, or whose headers become too large, is refused: [`NotInjected`]. The
//! feature `metrics` counts `header_inject_applied_total{op}` and `header_inject_skipped_total{reason}` (`missing`,
//! `condition`, `full`).
//!
//! # What it leaves to others
//!
//! - Hop-by-hop headers. Strip what `Connection` names before this layer, or a client can name what it injects.
//! - Signatures. A layer that signs headers belongs below this one.
//! - Errors. Response rules cover every response, refusals of inner layers too, but no `Err`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod inject;
mod rules;
mod rule;
mod action;
mod condition;
mod on_missing;
mod value;
mod secret;
mod source;
mod prefix;
mod names;
mod base64;
mod invalid;
mod not_injected;
mod meters;
#[cfg(feature = "serde")]
mod config;

pub use condition::{Condition, InvalidCondition, MediaType, Statuses};
pub use future::ResponseFuture;
pub use inject::HeaderInject;
pub use invalid::InvalidRule;
pub use layer::HeaderInjectLayer;
pub use not_injected::NotInjected;
pub use on_missing::OnMissing;
pub use prefix::{HeaderPrefix, InvalidPrefix};
pub use rule::Rule;
pub use rules::HeaderRules;
pub use secret::Secret;
pub use service::InjectHeaders;
pub use source::Source;
pub use value::Value;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
