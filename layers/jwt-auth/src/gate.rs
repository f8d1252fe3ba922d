//! Decides about a request, and makes it fit for the inner service.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Request, Uri};

use crate::token::Token;
use crate::trust::Trust;
use crate::{Claims, Policy, Unauthorized, credential};

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) clock: fn() -> SystemTime,
}

impl Gate {
    /// Gives the request its claims and takes away its token, or says why not.
    pub(crate) fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Unauthorized> {
        let claims = self.judge(request.headers(), request.uri(), (self.clock)())?;
        for source in self.policy.token_sources() {
            credential::strip(source, request)?;
        }
        request.extensions_mut().insert(claims);
        Ok(())
    }

    fn judge(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
    ) -> Result<Claims, Unauthorized> {
        // A clock before 1970 is broken. To it every token that expires has expired.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX);
        let token = credential::only(self.policy.token_sources(), headers, uri)?;
        let token = Token::parse(token, self.policy.token_limit())?;
        self.trust.verify(&token, now)?;
        if !self.policy.allows(&token.claims) {
            return Err(Unauthorized::Forbidden);
        }
        Ok(Claims::new(token.claims))
    }
}
