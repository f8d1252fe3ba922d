//! Decides about a request, and makes it fit for the inner service.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri};
use portcullis_refusal::Dialect;

use crate::cache::TokenCache;
use crate::challenge::Challenge;
use crate::grant::Grant;
use crate::later::{Stop, Wait};
use crate::preflight::is_preflight;
use crate::request_meters::RequestMeters;
use crate::token::Token;
use crate::token_status::Hook;
use crate::trust::Trust;
use crate::valid::Valid;
use crate::{Claims, Policy, Unauthorized, Verdict, credential, trace};

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) challenge: Challenge,
    pub(crate) cache: Arc<TokenCache>,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) status: Option<Hook>,
    pub(crate) meters: RequestMeters,
}

impl Gate {
    /// Gives the request its claims, if it has any, and takes away its token, or says why not, or not yet. Without
    /// `patience` no keys are waited for.
    pub(crate) fn admit<B>(&self, request: &mut Request<B>, patience: bool) -> Result<(), Stop> {
        let preflight = is_preflight(request.method(), request.headers());
        let grant = if preflight && self.policy.lets_preflights_through() {
            Grant::Preflight
        } else {
            self.judge(request.headers(), request.uri(), (self.clock)(), patience)?
        };
        match grant {
            Grant::Token(claims) if self.status.is_some() => Err(Stop::Wait(Wait::Status(claims))),
            grant => Ok(self.pass(request, grant)?),
        }
    }

    /// Gives the request the claims it is granted, if any, and takes away its token.
    pub(crate) fn pass<B>(
        &self,
        request: &mut Request<B>,
        grant: Grant,
    ) -> Result<(), Unauthorized> {
        for source in self.policy.token_sources() {
            credential::strip(source, request)?;
        }
        self.meters.allowed(&grant);
        trace::allowed();
        match grant {
            Grant::Token(claims) => request.extensions_mut().insert(claims),
            // Nobody's claims are nobody's, whatever a layer in front has put there.
            Grant::NoToken | Grant::Preflight => request.extensions_mut().remove(),
        };
        Ok(())
    }

    /// What the hook says, if there is one.
    pub(crate) fn verdict(
        &self,
        claims: Claims,
        parts: &Parts,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
        match &self.status {
            Some(hook) => hook.verdict(claims, parts),
            None => Box::pin(ready(Verdict::Active)),
        }
    }

    /// The answer to a request that came with these headers.
    pub(crate) fn refuse<B>(
        &self,
        reason: Unauthorized,
        headers: Option<&HeaderMap>,
        body: B,
    ) -> Response<B> {
        self.meters.refused(reason);
        trace::refused(reason);
        let dialect = headers.map(Dialect::of).unwrap_or_default();
        reason.refusal(&self.challenge).into_response(dialect, body)
    }

    fn judge(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
        patience: bool,
    ) -> Result<Grant, Stop> {
        // A clock before 1970 is broken. To it every token that expires has expired.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX);
        let token = match credential::only(self.policy.token_sources(), headers, uri) {
            Err(Unauthorized::MissingToken) if self.policy.is_optional() => {
                return Ok(Grant::NoToken);
            }
            found => found?,
        };
        let known = self.cache.get(token, now, |seal| self.trust.stands_by(seal, now));
        if self.cache.is_on() {
            self.meters.found(known.is_some());
        }
        let valid = match known {
            Some(valid) => valid,
            None => self.meters.time(|| self.verify(token, now, patience))?,
        };
        let subject = self.policy.traces_subjects().then(|| valid.claims.subject()).flatten();
        trace::verified(self.trust.issuer(valid.seal.issuer), valid.seal.signer, subject);
        // Also when it was remembered: no verdict rests on what the cache forgets.
        valid.times.check(now)?;
        self.policy.allow(&valid, now)?;
        Ok(Grant::Token(valid.claims))
    }

    fn verify(&self, text: &[u8], now: Duration, patience: bool) -> Result<Valid, Stop> {
        if !credential::is_plain(text) {
            return Err(Unauthorized::MalformedCredential.into());
        }
        let token = Token::parse(text, self.policy.token_limit())?;
        let (times, seal) = self.trust.verify(&token, now, patience)?;
        if !self.policy.token_type().accepts(token.typ.as_deref()) {
            return Err(Unauthorized::WrongType.into());
        }
        let valid = Valid { claims: Claims::new(token.claims), times, seal };
        let evicted = self.cache.put(text, &valid, now);
        self.meters.evicted(evicted);
        Ok(valid)
    }
}
