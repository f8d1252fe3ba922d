use serde_json::{Map, Value};

use crate::{ClaimRule, ConfigError, TokenSource};

/// Where tokens are looked for, and what they must say to be let through.
///
/// # Configuration
///
/// With the `serde` feature the policy is read from a configuration file. Every key may be left out; an unknown key,
/// or a rule that makes no sense, is an error.
///
/// ```toml
/// sources = ["bearer"]     # see `TokenSource`; ["bearer"] by default
/// realm = "api"            # named in challenges; none by default
/// max_token_bytes = 16384  # longer tokens are refused unread; 16 KiB by default
/// claims = []              # see `ClaimRule`; all must hold; none by default
/// ```
///
/// Keys and issuers are not part of it: they are arguments of [`JwtAuthLayer::new`](crate::JwtAuthLayer::new).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct Policy {
    sources: Vec<TokenSource>,
    realm: Option<String>,
    max_token_bytes: usize,
    claims: Vec<ClaimRule>,
}

impl Policy {
    /// Lets every valid bearer token through.
    pub fn new() -> Self {
        Self {
            sources: vec![TokenSource::bearer()],
            realm: None,
            max_token_bytes: 16 * 1024,
            claims: Vec::new(),
        }
    }

    /// Looks for tokens here, instead of in `Authorization` alone.
    ///
    /// One request has one token: two are refused, but that a header outranks a cookie.
    pub fn sources(mut self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Names the protection space in challenges (RFC 9110 §11.5).
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Refuses longer tokens unread.
    pub const fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Demands all of these of a token's claims, instead of nothing.
    pub fn claims(mut self, rules: impl IntoIterator<Item = ClaimRule>) -> Self {
        self.claims = rules.into_iter().collect();
        self
    }

    pub(crate) fn usable(self) -> Result<Self, ConfigError> {
        if self.sources.is_empty() {
            return Err(ConfigError::NoSource);
        }
        let overlap = |(index, source): (usize, &TokenSource)| {
            self.sources.iter().skip(index + 1).any(|other| source.overlaps(other))
        };
        if self.sources.iter().enumerate().any(overlap) {
            return Err(ConfigError::DuplicateSource);
        }
        let quotable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if self.realm.as_ref().is_some_and(|realm| !realm.bytes().all(quotable)) {
            return Err(ConfigError::InvalidRealm);
        }
        Ok(self)
    }

    pub(crate) fn token_sources(&self) -> &[TokenSource] {
        &self.sources
    }

    pub(crate) fn realm_name(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    pub(crate) const fn token_limit(&self) -> usize {
        self.max_token_bytes
    }

    pub(crate) fn allows(&self, claims: &Map<String, Value>) -> bool {
        self.claims.iter().all(|rule| rule.holds(claims))
    }
}

/// The same as [`Policy::new`].
impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}
