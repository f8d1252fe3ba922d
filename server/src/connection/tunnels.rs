use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::tunnel::Relay;

use super::pace::Busy;

/// The tunnels that are about to be made of a connection, or of streams of it.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    next: Mutex<Vec<(Relay, Busy)>>,
    opened: Notify,
}

impl Tunnels {
    /// Has `relay` run, beside the connection or after it; until it ends the connection is not idle.
    pub(super) fn open(&self, relay: Relay, busy: Busy) {
        self.lock().push((relay, busy));
        self.opened.notify_one();
    }

    /// Waits until there is something to run.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Runs what there is to run in `open`.
    pub(super) fn run(&self, open: &mut JoinSet<()>) {
        for (relay, busy) in self.lock().drain(..) {
            open.spawn(async move {
                relay.run().await;
                drop(busy);
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Relay, Busy)>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
