//! Decides about a request, and makes it fit for the inner service.

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri};
use portcullis_refusal::Dialect;

use crate::later::{Stop, Wait};
use crate::token::Token;
use crate::token_status::Hook;
use crate::trust::Trust;
use crate::{Claims, Policy, Unauthorized, Verdict, credential};

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) status: Option<Hook>,
}

impl Gate {
    /// Gives the request its claims and takes away its token, or says why not, or not yet. Without `patience` no keys
    /// are waited for.
    pub(crate) fn admit<B>(&self, request: &mut Request<B>, patience: bool) -> Result<(), Stop> {
        let claims = self.judge(request.headers(), request.uri(), (self.clock)(), patience)?;
        if self.status.is_some() {
            return Err(Stop::Wait(Wait::Status(claims)));
        }
        Ok(self.pass(request, claims)?)
    }

    /// Gives the request these claims and takes away its token.
    pub(crate) fn pass<B>(
        &self,
        request: &mut Request<B>,
        claims: Claims,
    ) -> Result<(), Unauthorized> {
        for source in self.policy.token_sources() {
            credential::strip(source, request)?;
        }
        request.extensions_mut().insert(claims);
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
        let dialect = headers.map(Dialect::of).unwrap_or_default();
        reason.refusal(self.policy.realm_name()).into_response(dialect, body)
    }

    fn judge(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
        patience: bool,
    ) -> Result<Claims, Stop> {
        // A clock before 1970 is broken. To it every token that expires has expired.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX);
        let token = credential::only(self.policy.token_sources(), headers, uri)?;
        let token = Token::parse(token, self.policy.token_limit())?;
        self.trust.verify(&token, now, patience)?;
        if !self.policy.allows(&token.claims) {
            return Err(Unauthorized::Forbidden.into());
        }
        Ok(Claims::new(token.claims))
    }
}
