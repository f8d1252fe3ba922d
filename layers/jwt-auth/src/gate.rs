//! Decides about a request, and makes it fit for the inner service.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Request, Uri};

use crate::cache::TokenCache;
use crate::challenge::Challenge;
use crate::preflight::is_preflight;
use crate::token::Token;
use crate::trust::Trust;
use crate::valid::Valid;
use crate::{Claims, Policy, Unauthorized, credential};

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) challenge: Challenge,
    pub(crate) cache: Arc<TokenCache>,
    pub(crate) clock: fn() -> SystemTime,
}

impl Gate {
    /// Gives the request its claims, if it has any, and takes away its token, or says why not.
    pub(crate) fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Unauthorized> {
        let preflight = is_preflight(request.method(), request.headers());
        let claims = if preflight && self.policy.lets_preflights_through() {
            None
        } else {
            self.judge(request.headers(), request.uri(), (self.clock)())?
        };
        for source in self.policy.token_sources() {
            credential::strip(source, request)?;
        }
        match claims {
            Some(claims) => request.extensions_mut().insert(claims),
            // Nobody's claims are nobody's, whatever a layer in front has put there.
            None => request.extensions_mut().remove(),
        };
        Ok(())
    }

    fn judge(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
    ) -> Result<Option<Claims>, Unauthorized> {
        // A clock before 1970 is broken. To it every token that expires has expired.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX);
        let token = match credential::only(self.policy.token_sources(), headers, uri) {
            Err(Unauthorized::MissingToken) if self.policy.is_optional() => return Ok(None),
            found => found?,
        };
        let known = self.cache.get(token, now, |seal| self.trust.stands_by(seal));
        let valid = known.map_or_else(|| self.verify(token, now), Ok)?;
        // Also when it was remembered: no verdict rests on what the cache forgets.
        valid.times.check(now)?;
        self.policy.allow(&valid, now)?;
        Ok(Some(valid.claims))
    }

    fn verify(&self, text: &[u8], now: Duration) -> Result<Valid, Unauthorized> {
        if !credential::is_plain(text) {
            return Err(Unauthorized::MalformedCredential);
        }
        let token = Token::parse(text, self.policy.token_limit())?;
        let (times, seal) = self.trust.verify(&token, now)?;
        if !self.policy.token_type().accepts(token.typ.as_deref()) {
            return Err(Unauthorized::WrongType);
        }
        let valid = Valid { claims: Claims::new(token.claims), times, seal };
        self.cache.put(text, &valid, now);
        Ok(valid)
    }
}
