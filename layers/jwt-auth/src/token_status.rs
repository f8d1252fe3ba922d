use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;

use crate::Claims;

/// Knows of a valid token whether it still counts: by a list of revoked ones, or by asking its issuer (RFC 7662).
///
/// A closure does: `|claims: Claims, parts: &Parts| async move { .. }`. It is asked for each request that would be let
/// through otherwise, and gets the head as it came, the token included; what it needs of it, it copies before it waits.
/// A time limit is its own, and so is a cache. Its future is dropped with that of the request.
pub trait TokenStatus: Send + Sync + 'static {
    /// Decides about a request by the claims of its token, and its head.
    fn verdict(
        &self,
        claims: Claims,
        parts: &Parts,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send>>;
}

/// A verdict to come.
type Pending = Pin<Box<dyn Future<Output = Verdict> + Send>>;

impl<T, F> TokenStatus for T
where
    T: Fn(Claims, &Parts) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    fn verdict(
        &self,
        claims: Claims,
        parts: &Parts,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
        Box::pin(self(claims, parts))
    }
}

/// A [`TokenStatus`] whose type is forgotten.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn TokenStatus>);

impl Hook {
    pub(crate) fn new(status: impl TokenStatus) -> Self {
        Self(Arc::new(status))
    }

    pub(crate) fn verdict(&self, claims: Claims, parts: &Parts) -> Pending {
        self.0.verdict(claims, parts)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenStatus")
    }
}

/// What a [`TokenStatus`] says of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It counts.
    Active,
    /// It does not: `401`.
    Revoked,
    /// Nobody can tell now, so it is not let through: `503`.
    Unavailable,
}
