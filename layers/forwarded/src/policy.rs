use http::header::HeaderName;

use crate::element::is_token;
use crate::{InvalidPolicy, Networks};

/// Whom to believe, whom to let in, and what to tell the next hop.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [forwarded]
/// trusted = ["10.0.0.0/8", "fd00::/8"] # by default, no proxy is
/// source = "x_forwarded_for"           # default; or "forwarded"
/// x_forwarded = "write"                # default; or "strip"
/// forwarded = "strip"                  # default; or "write"
/// via = "gateway-1"                    # by default, there is none
/// remove = ["true-client-ip"]          # by default, none but those that are always removed
/// allow = ["192.0.2.0/24"]             # by default, all
/// deny = ["192.0.2.66"]                # by default, none
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct ForwardedPolicy {
    pub(crate) trusted: Networks,
    pub(crate) source: Source,
    pub(crate) x_forwarded: NextHop,
    pub(crate) forwarded: NextHop,
    pub(crate) via: Option<Pseudonym>,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::section::names"))]
    pub(crate) remove: Vec<HeaderName>,
    pub(crate) allow: Option<Networks>,
    pub(crate) deny: Networks,
}

/// Which header the trusted proxies write, each adding to what it was sent. The other one is not believed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
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
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NextHop {
    /// What is known here, in the place of whatever was sent.
    Write,
    /// Nothing: whatever was sent is removed.
    Strip,
}

/// By what name this proxy is known in `Via`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
pub(crate) struct Pseudonym(pub(crate) String);

impl ForwardedPolicy {
    /// Trusts no proxy, lets all in, tells the next hop in `X-Forwarded-For` and its like, and no other way.
    pub const fn new() -> Self {
        Self {
            trusted: Networks::none(),
            source: Source::XForwardedFor,
            x_forwarded: NextHop::Write,
            forwarded: NextHop::Strip,
            via: None,
            remove: Vec::new(),
            allow: None,
            deny: Networks::none(),
        }
    }

    /// Believes what proxies with these addresses say.
    pub fn trusted(mut self, proxies: Networks) -> Self {
        self.trusted = proxies;
        self
    }

    /// Believes what trusted proxies say in that header. It has to be the one that they do write: else what a client has put
    /// into it is believed.
    pub const fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Writes or strips `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Port`.
    pub const fn x_forwarded(mut self, next_hop: NextHop) -> Self {
        self.x_forwarded = next_hop;
        self
    }

    /// Writes or strips `Forwarded`.
    pub const fn forwarded(mut self, next_hop: NextHop) -> Self {
        self.forwarded = next_hop;
        self
    }

    /// Adds to `Via` by this name, and refuses a request with `508` that has been here before.
    ///
    /// Two proxies in a row must not have the same one.
    ///
    /// # Errors
    ///
    /// When it is no token (RFC 9110 §7.6.3).
    pub fn via(mut self, pseudonym: &str) -> Result<Self, InvalidPolicy> {
        self.via = Some(pseudonym.to_owned().try_into()?);
        Ok(self)
    }

    /// Removes another header that somebody may take for the client's address.
    ///
    /// `X-Real-IP` and all whose name begins with `X-Forwarded-` are always removed.
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.remove.push(name);
        self
    }

    /// Lets in only clients with these addresses; others are refused with `403`, and so is who has none.
    pub fn allow(mut self, clients: Networks) -> Self {
        self.allow = Some(clients);
        self
    }

    /// Refuses clients with these addresses with `403`, whether they are allowed or not.
    pub fn deny(mut self, clients: Networks) -> Self {
        self.deny = clients;
        self
    }
}

impl Default for ForwardedPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = InvalidPolicy;

    fn try_from(name: String) -> Result<Self, InvalidPolicy> {
        let token = !name.is_empty() && name.bytes().all(is_token);
        if token { Ok(Self(name)) } else { Err(InvalidPolicy::Pseudonym) }
    }
}
