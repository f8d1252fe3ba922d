use std::net::IpAddr;

use http::header::HeaderName;

use crate::Proxy;

/// Whom to believe, and what to tell the next hop.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [forwarded]
/// trusted = ["10.0.0.0/8", "unix"] # by default, no proxy is
/// source = "x_forwarded_for"       # default; or "forwarded"
/// x_forwarded = "write"            # default; or "strip"
/// forwarded = "strip"              # default; or "write"
/// remove = ["true-client-ip"]      # by default, none but those that are always removed
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct ForwardedPolicy {
    /// Networks, addresses and `"unix"`: proxies at these are believed. None when left out.
    pub(crate) trusted: Vec<Proxy>,
    /// Which header they write.
    pub(crate) source: Source,
    /// What the next hop is told in `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    pub(crate) x_forwarded: NextHop,
    /// What it is told in `Forwarded`.
    pub(crate) forwarded: NextHop,
    /// Headers that somebody may take for the client's address: removed, beside `X-Real-IP` and all `X-Forwarded-…`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::names"))]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub(crate) remove: Vec<HeaderName>,
}

/// Which header the trusted proxies write, each adding to what it was sent. The other one is not believed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Source {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Port` beside it.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What the next hop is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NextHop {
    /// What is known here, in the place of whatever was sent.
    Write,
    /// Nothing: whatever was sent is removed.
    Strip,
}

impl ForwardedPolicy {
    /// Trusts no proxy, tells the next hop in `X-Forwarded-For` and its like, and no other way.
    pub const fn new() -> Self {
        Self {
            trusted: Vec::new(),
            source: Source::XForwardedFor,
            x_forwarded: NextHop::Write,
            forwarded: NextHop::Strip,
            remove: Vec::new(),
        }
    }

    /// Believes what proxies at these places say.
    pub fn trusted(mut self, proxies: impl IntoIterator<Item = Proxy>) -> Self {
        self.trusted = proxies.into_iter().collect();
        self
    }

    /// Believes what trusted proxies say in that header. It has to be the one that they do write: else what a client has put
    /// into it is believed.
    pub const fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Has [`TellLayer`](crate::TellLayer) write `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and
    /// `X-Forwarded-Port`, or not.
    pub const fn x_forwarded(mut self, next_hop: NextHop) -> Self {
        self.x_forwarded = next_hop;
        self
    }

    /// Has [`TellLayer`](crate::TellLayer) write `Forwarded`, or not.
    pub const fn forwarded(mut self, next_hop: NextHop) -> Self {
        self.forwarded = next_hop;
        self
    }

    /// Removes another header that somebody may take for the client's address.
    ///
    /// `X-Real-IP` and all whose name begins with `X-Forwarded-` are always removed. A name with `_` is the one with `-`, as
    /// servers have it that pass headers on as variables.
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.remove.push(name);
        self
    }

    /// Whether a peer is a trusted proxy; it has no address at the other end of a Unix socket.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.trusted.iter().any(|proxy| proxy.is_at(peer))
    }
}

impl Default for ForwardedPolicy {
    fn default() -> Self {
        Self::new()
    }
}
