use std::time::Duration;

use serde_json::{Map, Value};

use crate::key_source::KeySource;
use crate::later::{Stop, Wait};
use crate::store::Missing;
use crate::times::Times;
use crate::token::Token;
use crate::valid::Signer;
use crate::{ConfigError, Key, Unauthorized};

/// One who issues tokens: its keys, and what its tokens must say.
///
/// By default a token must have an `exp` (RFC 7519 §4.1.4); `nbf` and `iat` are checked where they are there, and no
/// audience is expected. Clocks may differ by 60 seconds.
#[derive(Clone, Debug)]
#[must_use = "an issuer is trusted only by a layer"]
pub struct Issuer {
    name: Option<String>,
    pub(crate) keys: KeySource,
    audiences: Option<Vec<String>>,
    leeway: Duration,
    required: Vec<String>,
}

impl Issuer {
    /// An issuer with these keys, at most 32: a list, or what [`Key::jwks`] returns.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self::from_source(KeySource::Fixed(keys.into_iter().collect()))
    }

    pub(crate) fn from_source(keys: KeySource) -> Self {
        Self {
            name: None,
            keys,
            audiences: None,
            leeway: Duration::from_secs(60),
            required: vec!["exp".to_owned()],
        }
    }

    /// Demands this `iss`, to the byte (RFC 7519 §4.1.1): a trailing slash makes another issuer.
    ///
    /// It must be said where a layer trusts several issuers: `iss` then chooses the keys.
    pub fn issuer(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Demands an `aud` that is, or has, one of these (RFC 7519 §4.1.3). Unless this is called, `aud` is ignored.
    pub fn audience(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.audiences = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// How far the clocks of issuer and layer may differ: 60 seconds by default. It extends `exp`, and advances `nbf`
    /// and `iat`.
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Demands that these claims are there, beside those that are demanded already: `nbf`, `iat`, `sub`, `jti`.
    pub fn require(mut self, claims: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.required.extend(claims.into_iter().map(Into::into));
        self
    }

    /// Accepts tokens without `exp`, which are valid for ever; one that is there is still checked.
    pub fn expiry_optional(mut self) -> Self {
        self.required.retain(|claim| claim != "exp");
        self
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether a token could be valid at all.
    pub(crate) fn usable(self) -> Result<Self, ConfigError> {
        self.keys.check(self.name())?;
        if self.audiences.as_ref().is_some_and(Vec::is_empty) {
            return Err(ConfigError::NoAudience(self.name));
        }
        if let Some(store) = self.keys.store() {
            store.measure(self.name());
        }
        Ok(self)
    }

    /// Calls `tell` with the name of the key, if it has one and its set is still at hand.
    pub(crate) fn tell_kid(&self, signer: Signer, tell: impl FnOnce(&str)) {
        self.keys.tell_kid(signer, tell);
    }

    /// Whether this key is trusted `now`, a time since 1970.
    pub(crate) fn stands_by(&self, signer: Signer, now: Duration) -> bool {
        self.keys.stands_by(signer, now)
    }

    /// The token's dates, and the key that signed it, if the token is this issuer's, and valid `now`, a time since 1970.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        now: Duration,
        patience: bool,
    ) -> Result<(Times, Signer), Stop> {
        if self.name.is_some() && token.claims.get("iss").and_then(Value::as_str) != self.name() {
            return Err(Unauthorized::UnknownIssuer.into());
        }
        let signed = self.keys.verify(token, now);
        if let (Err(missing), Some(_)) = (signed, self.keys.store()) {
            // No issuer is asked about a token that would be refused whoever had signed it.
            self.check_claims(&token.claims, now)?;
            let landing = self.keys.settle(missing, token, patience)?;
            return Err(Stop::Wait(Wait::Keys(landing)));
        }
        let signer = signed.map_err(Missing::reason)?;
        Ok((self.check_claims(&token.claims, now)?, signer))
    }

    fn check_claims(
        &self,
        claims: &Map<String, Value>,
        now: Duration,
    ) -> Result<Times, Unauthorized> {
        let times = Times::read(claims, self.leeway)?;
        times.check(now)?;
        self.check_audience(claims)?;
        let there = |claim: &String| claims.get(claim).is_some_and(|value| !value.is_null());
        let complete = self.required.iter().all(there);
        complete.then_some(times).ok_or(Unauthorized::MissingClaim)
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Unauthorized> {
        let Some(audiences) = &self.audiences else {
            return Ok(());
        };
        let mine = |name: &Value| match name {
            Value::String(name) => Ok(audiences.contains(name)),
            _ => Err(Unauthorized::MalformedClaim),
        };
        let found = match claims.get("aud") {
            None => return Err(Unauthorized::MissingClaim),
            Some(Value::Array(names)) => {
                names.iter().try_fold(false, |found, name| Ok(found | mine(name)?))?
            }
            Some(name) => mine(name)?,
        };
        found.then_some(()).ok_or(Unauthorized::WrongAudience)
    }
}
