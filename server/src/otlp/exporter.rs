use std::fmt;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::trace::{BATCH, Span};
use crate::upstream::Upstream;

use super::message::encode;
use super::verdict::Answer;
use super::{Collector, Resource};

/// Delivers spans, several at once.
#[derive(Debug)]
pub(crate) struct Exporter {
    pub(crate) spans: mpsc::Receiver<Span>,
    /// Told when there are enough of them.
    pub(crate) enough: Arc<Notify>,
    pub(crate) interval: Duration,
    pub(crate) resource: Resource,
    pub(crate) collector: Collector,
    pub(crate) outcomes: Outcomes,
}

/// What is counted of spans that had room.
pub(crate) struct Outcomes {
    pub(crate) exported: Counter,
    pub(crate) rejected: Counter,
    pub(crate) failed: Counter,
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outcomes")
    }
}

impl Exporter {
    /// Delivers until it is `ending`, or nobody is left who could tell of a span.
    async fn run(mut self, mut ending: watch::Receiver<bool>) {
        let mut away = Away::default();
        let mut upstream = self.collector.open();
        loop {
            let is_last = tokio::select! {
                () = is_told(&mut ending) => true,
                () = sleep(self.interval) => self.spans.is_closed(),
                () = self.enough.notified() => self.spans.is_closed(),
            };
            loop {
                let batch: Vec<_> =
                    std::iter::from_fn(|| self.spans.try_recv().ok()).take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                let message = Bytes::from(encode(&self.resource, batch));
                let answer = self.deliver(&mut upstream, message, &mut ending).await;
                away.note(&answer);
                self.count(count, &answer);
            }
            if is_last {
                return;
            }
        }
    }

    /// Tries until there is an answer that settles it. At the end it is tried once more, and not waited for.
    async fn deliver(
        &self,
        upstream: &mut Upstream,
        message: Bytes,
        ending: &mut watch::Receiver<bool>,
    ) -> Answer {
        let mut tries = 0;
        loop {
            tries += 1;
            let was_ending = *ending.borrow();
            let answer = self.collector.take(upstream, message.clone()).await;
            match answer.pause(tries, RandomState::new().hash_one(tries)) {
                Some(pause) if !was_ending => tokio::select! {
                    () = sleep(pause) => {}
                    () = is_told(ending) => {}
                },
                _ => return answer,
            }
        }
    }

    fn count(&self, spans: u64, answer: &Answer) {
        match answer {
            Answer::Taken { rejected, .. } => {
                let rejected = spans.min(*rejected);
                self.outcomes.rejected.increment(rejected);
                self.outcomes.exported.increment(spans - rejected);
            }
            Answer::Refused { .. } | Answer::None(_) => self.outcomes.failed.increment(spans),
        }
    }
}

/// Whether the collector does not take spans, which is said once.
#[derive(Debug, Default)]
struct Away(bool);

impl Away {
    fn note(&mut self, answer: &Answer) {
        let was_away = std::mem::replace(&mut self.0, !matches!(answer, Answer::Taken { .. }));
        match answer {
            Answer::Taken { rejected: 0, .. } if was_away => {
                tracing::info!("the collector takes spans again");
            }
            Answer::Taken { rejected: 0, .. } => {}
            Answer::Taken { rejected, why } => {
                tracing::warn!(rejected, why, "the collector did not keep all spans");
            }
            _ if was_away => {}
            Answer::Refused { status, .. } => {
                tracing::warn!(status = status.as_u16(), "the collector does not take spans");
            }
            Answer::None(error) => tracing::warn!(error, "the collector cannot be asked"),
        }
    }
}

/// Waits until it is said; for ever, when nobody can say it any more.
async fn is_told(it: &mut watch::Receiver<bool>) {
    if it.wait_for(|it| *it).await.is_err() {
        pending::<()>().await;
    }
}

/// An exporter and its thread, which load of clients does not reach, and which reaches no probe.
#[derive(Debug)]
pub(crate) struct Exporting {
    waiting: Mutex<Option<Exporter>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    ending: watch::Sender<bool>,
}

impl Exporting {
    pub(crate) fn new(exporter: Exporter) -> Self {
        let (waiting, thread) = (Mutex::new(Some(exporter)), Mutex::default());
        Self { waiting, thread, ending: watch::Sender::new(false) }
    }

    /// Begins to deliver, if it has not begun. It goes on for as long as somebody may tell of a span.
    pub(crate) fn begin(&self) {
        let Some(exporter) = take(&self.waiting) else { return };
        let ending = self.ending.subscribe();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(exporter.run(ending));
            Ok(())
        };
        match crate::workers::spawn("traces", run) {
            Ok(thread) => {
                *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
            }
            // Requests are served all the same, and what is not delivered is counted.
            Err(error) => tracing::error!(%error, "no spans are delivered"),
        }
    }

    /// Delivers what there is, and waits for that until the deadline.
    pub(crate) async fn end(&self, deadline: Instant) {
        self.ending.send_replace(true);
        let Some(thread) = take(&self.thread) else { return };
        // A thread that panicked has said so.
        let joined = spawn_blocking(|| drop(thread.join()));
        if timeout_at(deadline, joined).await.is_err() {
            tracing::warn!("the last spans were not delivered in time");
        }
    }
}

fn take<T>(from: &Mutex<Option<T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).take()
}
