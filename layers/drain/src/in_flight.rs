use std::sync::Arc;

use crate::shard::{Newcomer, Shard};

/// Keeps a request in flight for as long as it lives.
///
/// It is held by the response future, then by the response body, and is good for nothing else.
#[derive(Debug)]
pub struct InFlight {
    shard: Arc<Shard>,
    key: usize,
}

impl InFlight {
    /// None when the time is up.
    pub(crate) fn enter(shard: &Arc<Shard>, newcomer: &Newcomer<'_>) -> Option<Self> {
        let key = shard.enter(newcomer)?;
        Some(Self { shard: shard.clone(), key })
    }

    /// Whether the response is to tell its client to close.
    pub(crate) fn closes(&self) -> bool {
        self.shard.closes()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shard.leave(self.key);
    }
}

/// Keeps a tunnel in flight for as long as it or a clone of it lives.
///
/// It is in the extensions of a response that makes a tunnel of its connection: a `101`, or a success in answer to
/// `CONNECT`. Whoever relays the tunnel takes it out and holds it to the end; if nobody does, the request ends with the
/// head of its response.
#[derive(Clone, Debug)]
pub struct TunnelInFlight(#[expect(dead_code, reason = "held for its drop")] Arc<InFlight>);

impl TunnelInFlight {
    /// The one allocation of a tunnel.
    pub(crate) fn new(in_flight: InFlight) -> Self {
        in_flight.shard.becomes_tunnel(in_flight.key);
        Self(Arc::new(in_flight))
    }
}
