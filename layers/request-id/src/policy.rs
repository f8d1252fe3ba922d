use http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::Format;

/// Which ids are believed, and where they are written.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [request_id]
/// header = "x-request-id"             # default: what the inner service is told
/// accept = ["x-request-id"]           # default: the header; where clients may send theirs, by priority
/// response_header = "x-request-id"    # default: the header
/// trusted = "none"                    # default; or "all", or a list of networks, as ["10.0.0.0/8"]
/// format = "uuid_v7"                  # default; or "uuid_v4", "ulid", "hex"
/// trace_parent = false                # default: whether the trace id of trusted clients will do
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct RequestIdPolicy {
    /// The header in which upstreams are told the id.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::name"))]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(crate) header: HeaderName,
    /// Headers in which clients may send theirs, by priority; the `header` alone when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::names"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    accept: Option<Vec<HeaderName>>,
    /// The header in which clients are told the id; the `header` when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::some_name"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    response_header: Option<HeaderName>,
    /// Whose ids are believed: `"none"`, `"all"`, or those of peers in a list of networks.
    pub(crate) trusted: Trust,
    /// The form of new ids.
    pub(crate) format: Format,
    /// Whether the trace id of trusted clients will do, where they send no other.
    pub(crate) trace_parent: bool,
}

/// Whose ids are believed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::section::TrustSection"))]
#[cfg_attr(feature = "schema", schemars(with = "crate::section::TrustSection"))]
#[non_exhaustive]
pub enum Trust {
    /// Nobody's.
    #[default]
    None,
    /// Everybody's: where nobody comes but those who are known.
    All,
    /// Those of peers in these networks, as [`RequestIdLayer::peer`](crate::RequestIdLayer::peer) finds them.
    Networks(Vec<IpNet>),
}

impl RequestIdPolicy {
    /// Believes nobody, makes UUIDs of version 7, and writes them to `x-request-id`.
    pub const fn new() -> Self {
        Self {
            header: HeaderName::from_static("x-request-id"),
            accept: None,
            response_header: None,
            trusted: Trust::None,
            format: Format::UuidV7,
            trace_parent: false,
        }
    }

    /// Tells the inner service the id in this header.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// Looks for ids in these headers, the first of them first. All of them are taken off, trusted or not, and so are those
    /// that have a `_` in the place of a `-`.
    pub fn accept(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.accept = Some(names.into_iter().collect());
        self
    }

    /// Tells clients the id in this header.
    pub fn response_header(mut self, name: HeaderName) -> Self {
        self.response_header = Some(name);
        self
    }

    /// Believes the ids of these.
    pub fn trusted(mut self, trusted: Trust) -> Self {
        self.trusted = trusted;
        self
    }

    /// Makes ids of this form.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Takes the trace id of a trusted client's `traceparent` for the id, if it sends no other.
    pub const fn trace_parent(mut self) -> Self {
        self.trace_parent = true;
        self
    }

    /// Which header the inner service is told the id in. Whoever takes off what a client nominates has to leave it.
    #[must_use]
    pub const fn told_in(&self) -> &HeaderName {
        &self.header
    }

    /// Where an id may come from or go to.
    fn own(&self) -> impl Iterator<Item = &HeaderName> {
        self.accepted().iter().chain([&self.header])
    }

    pub(crate) fn lengths(&self) -> Lengths {
        Lengths(self.own().fold(0, |bits, name| bits | Lengths::bit(name.as_str())))
    }

    pub(crate) fn accepted(&self) -> &[HeaderName] {
        self.accept.as_deref().unwrap_or_else(|| std::slice::from_ref(&self.header))
    }

    /// Takes off all that may be read as an id, but for the header that is going to be written: servers that pass headers on as
    /// variables take `_` for `-`.
    ///
    /// `lengths` are those of the names, which most others have not.
    pub(crate) fn remove(&self, lengths: Lengths, headers: &mut HeaderMap) {
        for name in self.accepted().iter().filter(|name| **name != self.header) {
            headers.remove(name);
        }
        let mut named = Vec::new();
        for name in headers.keys() {
            let other = name.as_str();
            if lengths.may_be(other) && self.own().any(|own| is_variant(own.as_str(), other)) {
                named.push(name.clone());
            }
        }
        for name in named {
            headers.remove(name);
        }
    }

    pub(crate) fn answered_in(&self) -> &HeaderName {
        self.response_header.as_ref().unwrap_or(&self.header)
    }
}

impl Default for RequestIdPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// How long names are, modulo 64.
#[derive(Clone, Copy)]
pub(crate) struct Lengths(u64);

impl Lengths {
    const fn may_be(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    const fn bit(name: &str) -> u64 {
        1 << (name.len() % 64)
    }
}

/// Whether one name is another but for a `_` in the place of a `-`.
fn is_variant(own: &str, other: &str) -> bool {
    let dashed = |byte| if byte == b'_' { b'-' } else { byte };
    other.contains('_') && own.bytes().map(dashed).eq(other.bytes().map(dashed))
}
