use std::future::pending;
use std::sync::Arc;

use http_body::Body;
use tokio::time::Instant;

use crate::shard::Shard;
use crate::{EndOnDrain, Phase};

/// Tells a handler of the shutdown, so that what would go on for ever ends by itself.
///
/// It comes from [`DrainHandle::signal`](crate::DrainHandle::signal), or is in the extensions of requests where
/// [`DrainLayer::signal_handlers`](crate::DrainLayer::signal_handlers) puts it. Clones tell of the same shutdown.
#[derive(Clone, Debug)]
#[must_use = "a signal is there to be listened to"]
pub struct DrainSignal {
    shard: Arc<Shard>,
}

impl DrainSignal {
    pub(crate) const fn new(shard: Arc<Shard>) -> Self {
        Self { shard }
    }

    /// The phase the shutdown is in, by a read of the worker's own memory.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shard.phase()
    }

    /// When what is still in flight is given up; none before the shutdown begins, or if it never is.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shard.deadline()
    }

    /// Waits until the server drains: from [`Phase::Draining`] on a client that comes back is served elsewhere.
    ///
    /// Cancel safe. It waits for ever if there is neither a layer nor a handle any more, and so nobody who could begin.
    pub async fn draining(&self) {
        let Some(mut phase) = self.shard.shutdown().map(|shutdown| shutdown.subscribe()) else {
            return pending().await;
        };
        if phase.wait_for(|phase| *phase >= Phase::Draining).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Ends `body`, a stream of events or the like, after the frame it is at when the server drains.
    ///
    /// The client sees the response end well, and not cut off. A body whose length is known beforehand is left alone. One of
    /// gRPC ends without its status, which is an error: there the handler must end the stream itself.
    pub fn end_on_drain<B: Body>(&self, body: B) -> EndOnDrain<B> {
        EndOnDrain::new(body, self.clone())
    }
}
