use std::time::Duration;

use crate::valid::Valid;
use crate::{
    CacheLimits, ClaimPath, ClaimRule, ConfigError, ScopeRule, TokenSource, Typ, Unauthorized,
    resource,
};

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
/// require = []             # claims that must be there, whatever they say, as paths; none by default
/// scopes = []              # see `ScopeRule`; all must hold; none by default
/// typ = "any"              # see `Typ`; "any" by default
/// max_age = "1h"           # since `iat`, which must be there then; no limit by default
/// optional = false         # lets requests without a token through, without claims
/// allow_preflight = false  # lets CORS preflights through, without claims
/// resource_metadata = "https://api.example/.well-known/oauth-protected-resource" # named in challenges; none by default
/// trace_subject = false    # tells the current span whom a token is about
/// cache = { max_ttl = "5m" } # see `CacheLimits`
/// ```
///
/// Keys and issuers are not part of it: they are arguments of [`JwtAuthLayer::new`](crate::JwtAuthLayer::new).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer has it"]
pub struct Policy {
    sources: Vec<TokenSource>,
    realm: Option<String>,
    max_token_bytes: usize,
    claims: Vec<ClaimRule>,
    require: Vec<ClaimPath>,
    scopes: Vec<ScopeRule>,
    typ: Typ,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::duration::read_some"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    max_age: Option<Duration>,
    optional: bool,
    allow_preflight: bool,
    resource_metadata: Option<String>,
    trace_subject: bool,
    cache: CacheLimits,
}

impl Policy {
    /// Lets every valid bearer token through.
    pub fn new() -> Self {
        Self {
            sources: vec![TokenSource::bearer()],
            realm: None,
            max_token_bytes: 16 * 1024,
            claims: Vec::new(),
            require: Vec::new(),
            scopes: Vec::new(),
            typ: Typ::Any,
            max_age: None,
            optional: false,
            allow_preflight: false,
            resource_metadata: None,
            trace_subject: false,
            cache: CacheLimits::new(),
        }
    }

    /// Looks for tokens here, instead of in `Authorization` alone.
    ///
    /// One request has one token: two are refused, but that a header outranks a cookie. Challenges name the scheme of the
    /// first source that has one: `Bearer` of bearers and queries, another of a header `Authorization` that has it for a
    /// prefix. Where none has, it is `Bearer`.
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

    /// Demands that these claims are there, and not `null`; a token without one is invalid.
    pub fn require(mut self, claims: impl IntoIterator<Item = impl Into<ClaimPath>>) -> Self {
        self.require = claims.into_iter().map(Into::into).collect();
        self
    }

    /// Demands that the token was granted scopes by all of these rules; a text is a rule that asks for one.
    ///
    /// Challenges name what they ask for (RFC 6750 §3).
    pub fn scopes(mut self, rules: impl IntoIterator<Item = impl Into<ScopeRule>>) -> Self {
        self.scopes = rules.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts tokens of these types alone, instead of any.
    pub fn typ(mut self, typ: Typ) -> Self {
        self.typ = typ;
        self
    }

    /// Refuses tokens that were issued (`iat`) longer ago than this and the issuer's leeway, whatever their expiry, and
    /// tokens that do not say when.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets requests without a token through, and without [`Claims`](crate::Claims). One with a bad token is refused.
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Lets CORS preflights through: `OPTIONS` with `Origin` and `Access-Control-Request-Method`, by which a browser asks,
    /// without a token, whether it may send the request that has one (Fetch §4.8).
    ///
    /// Whoever is not a browser can send one, too. It has no claims, and a token that it brings is not passed on.
    pub const fn allow_preflight(mut self) -> Self {
        self.allow_preflight = true;
        self
    }

    /// Tells refused clients where the resource's metadata are (RFC 9728 §5.1);
    /// [`ResourceMetadata::url`](crate::ResourceMetadata::url) says where.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// Tells the current span whom a token is about, in its field `enduser.id`. It is personal, so it is not told else.
    pub const fn trace_subject(mut self) -> Self {
        self.trace_subject = true;
        self
    }

    /// Remembers verified tokens within these limits, instead of the usual ones.
    pub const fn cache(mut self, limits: CacheLimits) -> Self {
        self.cache = limits;
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
        if self.typ == Typ::OneOf(Vec::new()) {
            return Err(ConfigError::NoType);
        }
        self.scopes.iter().try_for_each(ScopeRule::usable)?;
        if let Some(url) = &self.resource_metadata {
            resource::parse(url)?;
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

    pub(crate) const fn token_type(&self) -> &Typ {
        &self.typ
    }

    pub(crate) const fn is_optional(&self) -> bool {
        self.optional
    }

    pub(crate) const fn traces_subjects(&self) -> bool {
        self.trace_subject
    }

    pub(crate) const fn lets_preflights_through(&self) -> bool {
        self.allow_preflight
    }

    pub(crate) const fn cache_limits(&self) -> CacheLimits {
        self.cache
    }

    pub(crate) fn metadata_url(&self) -> Option<&str> {
        self.resource_metadata.as_deref()
    }

    /// What a client should ask for, each scope once, as challenges have it.
    pub(crate) fn wanted_scopes(&self) -> Option<String> {
        let mut wanted: Vec<&str> = Vec::new();
        for scope in self.scopes.iter().flat_map(ScopeRule::wanted) {
            if !wanted.contains(&scope.as_str()) {
                wanted.push(scope);
            }
        }
        (!wanted.is_empty()).then(|| wanted.join(" "))
    }

    /// Whether a valid token may do what the request asks for.
    pub(crate) fn allow(&self, token: &Valid, now: Duration) -> Result<(), Unauthorized> {
        if let Some(max_age) = self.max_age {
            token.times.check_age(now, max_age)?;
        }
        let there = |path: &ClaimPath| token.claims.at(path).is_some_and(|claim| !claim.is_null());
        if !self.require.iter().all(there) {
            return Err(Unauthorized::MissingClaim);
        }
        if !self.scopes.iter().all(|rule| rule.holds(token.claims.all())) {
            return Err(Unauthorized::InsufficientScope);
        }
        let allowed = self.claims.iter().all(|rule| rule.holds(token.claims.all()));
        allowed.then_some(()).ok_or(Unauthorized::Forbidden)
    }
}

/// The same as [`Policy::new`].
impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}
