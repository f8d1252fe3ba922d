use std::sync::Arc;

use http::Request;

use crate::Phase;
use crate::shard::{Running, Shard};

/// Keeps a request in flight for as long as it lives.
///
/// It is held by the response future, then by the response body, and is good for nothing else.
#[derive(Debug)]
pub struct InFlight {
    shard: Arc<Shard>,
    key: usize,
}

impl InFlight {
    /// None when requests are refused.
    pub(crate) fn enter<B>(shard: &Arc<Shard>, request: &Request<B>) -> Option<Self> {
        let key = shard.enter(Running::new(request))?;
        Some(Self { shard: shard.clone(), key })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.shard.phase()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shard.leave(self.key);
    }
}
