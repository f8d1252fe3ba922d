//! When a token is valid: judged anew whenever it comes, also when its signature is remembered.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::Unauthorized;

/// The dates of a token, since 1970, and how far the clocks of its issuer may differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Times {
    exp: Option<Duration>,
    nbf: Option<Duration>,
    iat: Option<Duration>,
    leeway: Duration,
}

impl Times {
    pub(crate) fn read(
        claims: &Map<String, Value>,
        leeway: Duration,
    ) -> Result<Self, Unauthorized> {
        let (exp, nbf, iat) = (date(claims, "exp")?, date(claims, "nbf")?, date(claims, "iat")?);
        Ok(Self { exp, nbf, iat, leeway })
    }

    /// "On or after" its expiry a token is not accepted (RFC 7519 §4.1.4).
    pub(crate) fn expired(&self, now: Duration) -> bool {
        self.exp.is_some_and(|exp| exp.saturating_add(self.leeway) <= now)
    }

    pub(crate) fn check(&self, now: Duration) -> Result<(), Unauthorized> {
        let latest = now.saturating_add(self.leeway);
        if self.expired(now) {
            return Err(Unauthorized::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Unauthorized::NotYetValid);
        }
        if self.iat.is_some_and(|iat| iat > latest) {
            return Err(Unauthorized::IssuedInFuture);
        }
        Ok(())
    }

    /// Whether the token was issued no longer ago than that.
    pub(crate) fn check_age(&self, now: Duration, max_age: Duration) -> Result<(), Unauthorized> {
        let iat = self.iat.ok_or(Unauthorized::MissingClaim)?;
        let latest = iat.saturating_add(max_age).saturating_add(self.leeway);
        if now > latest { Err(Unauthorized::TooOld) } else { Ok(()) }
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
