use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use crate::exchange;

/// Requests at a steady pace, each over a connection of its own, whether or not those before it have been answered.
///
/// A stall is made up for: what was due meanwhile is sent at once.
#[derive(Debug)]
pub struct Flow {
    answers: mpsc::UnboundedReceiver<u16>,
    statuses: BTreeMap<u16, usize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Flow {
    /// Begins to send what `next` gives, so many times in a second. Each request must ask for its connection to be closed.
    #[must_use]
    pub fn start(
        to: SocketAddr,
        per_second: u32,
        mut next: impl FnMut() -> String + Send + 'static,
    ) -> Self {
        let (told, answers) = mpsc::unbounded_channel();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut every = interval(Duration::from_secs(1) / per_second);
            let mut open = JoinSet::new();
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    _ = every.tick() => {
                        let (request, told) = (next(), told.clone());
                        open.spawn(async move { told.send(exchange(to, request).await.status) });
                    }
                }
            }
            open.join_all().await;
        });
        Self { answers, statuses: BTreeMap::new(), stop, task }
    }

    /// Waits until so many more have been answered.
    pub async fn answered(&mut self, more: usize) {
        for _ in 0..more {
            let status = self.answers.recv().await.expect("a flow that goes on");
            *self.statuses.entry(status).or_default() += 1;
        }
    }

    /// Sends no more, and waits for what is open: each status, and how often it was answered. One that was never answered
    /// has the status zero.
    pub async fn end(mut self) -> BTreeMap<u16, usize> {
        // It ends by this alone, unless it panicked.
        let _ = self.stop.send(());
        self.task.await.expect("requests that are sent");
        while let Some(status) = self.answers.recv().await {
            *self.statuses.entry(status).or_default() += 1;
        }
        self.statuses
    }
}
