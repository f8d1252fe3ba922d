use std::time::Duration;

use serde_json::{Map, Value};

use crate::key_source::KeySource;
use crate::later::{Stop, Wait};
use crate::store::Missing;
use crate::token::Token;
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

    /// Whether the token is this issuer's, and valid `now`, a time since 1970.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        now: Duration,
        patience: bool,
    ) -> Result<(), Stop> {
        if self.name.is_some() && token.claims.get("iss").and_then(Value::as_str) != self.name() {
            return Err(Unauthorized::UnknownIssuer.into());
        }
        let signed = self.keys.verify(token);
        if let (Err(missing), Some(_)) = (signed, self.keys.store()) {
            // No issuer is asked about a token that would be refused whoever had signed it.
            self.check_claims(&token.claims, now)?;
            let landing = self.keys.settle(missing, token, patience)?;
            return Err(Stop::Wait(Wait::Keys(landing)));
        }
        signed.map_err(Missing::reason)?;
        Ok(self.check_claims(&token.claims, now)?)
    }

    fn check_claims(&self, claims: &Map<String, Value>, now: Duration) -> Result<(), Unauthorized> {
        self.check_time(claims, now)?;
        self.check_audience(claims)?;
        let there = |claim: &String| claims.get(claim).is_some_and(|value| !value.is_null());
        self.required.iter().all(there).then_some(()).ok_or(Unauthorized::MissingClaim)
    }

    fn check_time(&self, claims: &Map<String, Value>, now: Duration) -> Result<(), Unauthorized> {
        let latest = now.saturating_add(self.leeway);
        // "On or after" its expiry a token is not accepted (RFC 7519 §4.1.4).
        if date(claims, "exp")?.is_some_and(|exp| exp.saturating_add(self.leeway) <= now) {
            return Err(Unauthorized::Expired);
        }
        if date(claims, "nbf")?.is_some_and(|nbf| nbf > latest) {
            return Err(Unauthorized::NotYetValid);
        }
        if date(claims, "iat")?.is_some_and(|iat| iat > latest) {
            return Err(Unauthorized::IssuedInFuture);
        }
        Ok(())
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

/// A `NumericDate` (RFC 7519 §2): seconds since 1970, whole or not; neither negative nor beyond all clocks.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, Unauthorized> {
    let Some(date) = claims.get(name) else {
        return Ok(None);
    };
    let whole = date.as_u64().map(Duration::from_secs);
    let date = || date.as_f64().and_then(|date| Duration::try_from_secs_f64(date).ok());
    whole.or_else(date).map(Some).ok_or(Unauthorized::MalformedClaim)
}
