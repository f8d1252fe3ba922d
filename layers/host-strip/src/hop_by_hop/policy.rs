use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};

use super::field::{Field, Fields};
use super::{HeaderPrefix, Upgrade};

/// What is removed from requests and responses for being meant for one connection only (RFC 9110 §7.6.1).
///
/// Always removed: `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`, `http2-settings`, `te` but for
/// `trailers`, `upgrade` but for what [`Upgrade`] lets through, and all that `Connection` nominates, in every line.
/// Removed unless kept: `expect`, `proxy-authorization`, `proxy-authenticate`, `proxy-authentication-info`. Removed if
/// [asked for](Self::remove): any other, but for `content-length`, which frames the message.
///
/// Never removed, whoever nominates them: `authorization`, `cache-control`, `cookie`, `forwarded`, `host`, `set-cookie`,
/// `traceparent`, `tracestate`, `via`, `x-real-ip`, `x-request-id`, all of `content-*` and `x-forwarded-*`, and what
/// [`protect`](Self::protect) adds.
///
/// # Configuration
///
/// With the `serde` feature the policy is read from a configuration file. Every key may be left out; an unknown one is
/// an error. These are the defaults:
///
/// ```toml
/// max_nominations = 16
/// on_violation = "ignore" # or "reject"
/// protected = []          # header names, beside those above
/// remove = []             # header names to remove besides, both ways
/// remove_prefixes = []    # and beginnings of names, such as "x-internal-"
/// upgrade = "deny"        # or "websocket", "preserve", { tokens = ["websocket"] }
/// keep_expect = false
/// keep_proxy_auth = false
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until it is applied"]
pub struct HopByHop {
    /// How many headers `Connection` may name.
    pub(super) max_nominations: usize,
    /// What happens when it names one that it must not.
    pub(super) on_violation: OnViolation,
    /// Headers that it must not name, beside those that are protected anyway.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "header_names"))]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    protected: Vec<HeaderName>,
    /// Headers that are removed besides, both ways.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "removable_names"))]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    remove: Vec<HeaderName>,
    /// Headers whose names begin like this are removed, too.
    remove_prefixes: Vec<HeaderPrefix>,
    /// Which upgrades pass.
    pub(super) upgrade: Upgrade,
    /// Lets `Expect` pass.
    keep_expect: bool,
    /// Lets `Proxy-Authorization` and `Proxy-Authenticate` pass.
    keep_proxy_auth: bool,
}

/// What happens when `Connection` names what it must not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum OnViolation {
    /// The element has no effect, and is counted.
    #[default]
    Ignore,
    /// A request is refused with 400. In a response, elements are ignored all the same.
    Reject,
}

impl HopByHop {
    /// The default, but for [`OnViolation::Reject`]: for where no client has a reason to name what it must not.
    pub fn strict() -> Self {
        Self::default().on_violation(OnViolation::Reject)
    }

    /// Obeys at most `count` nominations per message; 16 by default, and at zero none.
    ///
    /// `close` and fields that are removed anyway (`keep-alive`, `te`, …) do not count.
    pub const fn max_nominations(mut self, count: usize) -> Self {
        self.max_nominations = count;
        self
    }

    /// Says what happens to a malformed, protected or excessive nomination: by default it is ignored.
    pub const fn on_violation(mut self, reaction: OnViolation) -> Self {
        self.on_violation = reaction;
        self
    }

    /// Protects one more field from nomination.
    pub fn protect(mut self, name: HeaderName) -> Self {
        self.protected.push(name);
        self
    }

    /// Removes one more field, from requests and from responses.
    ///
    /// `content-length` stays, whoever names it: without it the message would have another end.
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.remove.push(name);
        self
    }

    /// Removes all fields whose names begin like this, from requests and from responses, but for `content-length`.
    pub fn remove_prefix(mut self, prefix: HeaderPrefix) -> Self {
        self.remove_prefixes.push(prefix);
        self
    }

    /// Says which upgrades get through: by default none.
    pub fn upgrade(mut self, upgrade: Upgrade) -> Self {
        self.upgrade = upgrade;
        self
    }

    /// Passes `Expect` on, which the server has answered already when it is hyper.
    pub const fn keep_expect(mut self) -> Self {
        self.keep_expect = true;
        self
    }

    /// Passes `Proxy-Authorization`, `Proxy-Authenticate` and `Proxy-Authentication-Info` on, for an upstream that is
    /// a proxy and authenticates the client itself (RFC 9110 §11.7).
    pub const fn keep_proxy_auth(mut self) -> Self {
        self.keep_proxy_auth = true;
        self
    }

    /// Those of `found` that this policy removes.
    pub(super) const fn unwanted(&self, found: Fields) -> Fields {
        let found = if self.keep_expect { found.without(Field::Expect) } else { found };
        if !self.keep_proxy_auth {
            return found;
        }
        found
            .without(Field::ProxyAuthenticate)
            .without(Field::ProxyAuthenticationInfo)
            .without(Field::ProxyAuthorization)
    }

    pub(super) fn has_extras(&self) -> bool {
        !self.remove.is_empty() || !self.remove_prefixes.is_empty()
    }

    /// Removes what is to go besides, and says how many fields that were.
    ///
    /// Names found by their beginning are listed first: an allocation, if there are any.
    pub(super) fn remove_extras(&self, headers: &mut HeaderMap) -> u64 {
        let begins = |name: &&HeaderName| self.remove_prefixes.iter().any(|p| p.begins(name));
        let found: Vec<_> = match self.remove_prefixes.as_slice() {
            [] => Vec::new(),
            _ => headers.keys().filter(begins).cloned().collect(),
        };
        let extras = self.remove.iter().chain(&found).filter(|name| **name != CONTENT_LENGTH);
        extras.fold(0, |count, name| count + u64::from(headers.remove(name).is_some()))
    }

    /// Whether `name`, in any letter case, cannot be nominated.
    pub(super) fn protects(&self, name: &str) -> bool {
        let has_prefix = |prefix: &&str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };

        PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected))
            || PROTECTED_PREFIXES.iter().any(has_prefix)
            || self.protected.iter().any(|protected| name.eq_ignore_ascii_case(protected.as_str()))
    }
}

impl Default for HopByHop {
    fn default() -> Self {
        Self {
            max_nominations: 16,
            on_violation: OnViolation::default(),
            protected: Vec::new(),
            remove: Vec::new(),
            remove_prefixes: Vec::new(),
            upgrade: Upgrade::default(),
            keep_expect: false,
            keep_proxy_auth: false,
        }
    }
}

#[cfg(feature = "serde")]
fn header_names<'de, D>(input: D) -> Result<Vec<HeaderName>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let names: Vec<String> = serde::Deserialize::deserialize(input)?;
    let names = names.iter().map(|name| name.parse());
    names.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

#[cfg(feature = "serde")]
fn removable_names<'de, D>(input: D) -> Result<Vec<HeaderName>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let names = header_names(input)?;
    if names.contains(&CONTENT_LENGTH) {
        let message = "`content-length` frames the message: leave it out";
        return Err(serde::de::Error::custom(message));
    }
    Ok(names)
}

/// What recipients behind this hop, or a proxy before it, stand on.
const PROTECTED: [&str; 11] = [
    "authorization",
    "cache-control",
    "cookie",
    "forwarded",
    "host",
    "set-cookie",
    "traceparent",
    "tracestate",
    "via",
    "x-real-ip",
    "x-request-id",
];
const PROTECTED_PREFIXES: [&str; 2] = ["content-", "x-forwarded-"];
