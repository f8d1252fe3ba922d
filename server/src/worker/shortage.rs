use std::io;

use tokio::time::Instant;

/// A time in which no connection can be accepted: mostly there is no descriptor left.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    since: Option<Instant>,
}

impl Shortage {
    /// An accept failed; only the first time is worth a line.
    pub(super) fn is_there(&mut self, error: &io::Error) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(%error, "cannot accept connections; they wait");
        }
    }

    /// An accept did not fail.
    pub(super) fn is_over(&mut self) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(seconds, "connections are accepted again");
        }
    }
}

/// Whether a failed accept says only that somebody left before the door opened.
pub(super) fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
