use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::keys::InUse;
use crate::limiter::Place;

/// A request's place among those that are under way, for as long as it lives.
///
/// It is held by the response future, then by the response body, and is good for nothing else. In the extensions of a
/// response that opens a tunnel there is a [`TunnelPermit`].
pub struct Permit {
    /// Before the key, which is looked at when the place is given back.
    place: Place,
    _in_use: Option<InUse>,
    /// When it got its place; none if nobody asks how long it takes.
    since: Option<Instant>,
}

/// Keeps the place of a request whose connection has become a tunnel, until the last clone is dropped.
///
/// It is found in the extensions of a `101`, or of a successful answer to `CONNECT`: whoever relays the tunnel holds it.
#[derive(Clone, Debug)]
pub struct TunnelPermit {
    _permit: Arc<Permit>,
}

impl Permit {
    pub(crate) fn new(place: Place, in_use: Option<InUse>) -> Self {
        let terms = place.limiter().map(|limiter| &limiter.terms);
        let since = terms.and_then(|terms| {
            terms.meters.entered();
            terms.is_adaptive().then(Instant::now)
        });
        Self { place, _in_use: in_use, since }
    }

    /// The headers are there, or it failed: in time or not.
    pub(crate) fn answered(&mut self, well: bool) {
        if let (Some(since), Some(limiter)) = (self.since.take(), self.place.limiter()) {
            limiter.learn(since, well);
        }
    }

    pub(crate) fn into_tunnel(self) -> TunnelPermit {
        TunnelPermit { _permit: Arc::new(self) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limiter) = self.place.limiter() {
            limiter.terms.meters.left();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
