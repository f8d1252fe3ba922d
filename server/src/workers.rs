//! The threads that serve, as seen from the one that outlives them.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use metrics::{histogram, with_local_recorder};
use portcullis_drain::{DrainHandle, Phase};
use tokio::runtime::RuntimeMetrics;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::lifecycle::Event;
use crate::plan::Plan;
use crate::worker::{self, Door, Order};

#[derive(Debug)]
pub(crate) struct Workers {
    orders: Orders,
    /// Taken by the workers when they start.
    received: Vec<mpsc::UnboundedReceiver<Order>>,
    threads: Vec<JoinHandle<()>>,
    cut: watch::Sender<bool>,
    /// What each tells of its runtime, once all have started.
    runtimes: watch::Sender<Arc<[RuntimeMetrics]>>,
    drain: DrainHandle,
    events: mpsc::UnboundedSender<Event>,
}

/// Tells all workers what to do.
#[derive(Clone, Debug)]
pub(crate) struct Orders(Arc<[mpsc::UnboundedSender<Order>]>);

impl Workers {
    pub(crate) fn new(
        count: usize,
        drain: DrainHandle,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (orders, received): (Vec<_>, _) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let (orders, cut) = (Orders(orders.into()), watch::Sender::new(false));
        let runtimes = watch::Sender::new(Arc::default());
        Self { orders, received, threads: Vec::new(), cut, runtimes, drain, events }
    }

    pub(crate) fn runtimes(&self) -> watch::Receiver<Arc<[RuntimeMetrics]>> {
        self.runtimes.subscribe()
    }

    pub(crate) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Starts them, each with its share of the doors, and waits until all accept; how many they are.
    pub(crate) async fn start(&mut self, plan: &Arc<Plan>, doors: Vec<Door>) -> io::Result<usize> {
        let count = self.received.len();
        let mut shares: Vec<Vec<Door>> = (0..count).map(|_| Vec::new()).collect();
        let mut turns = Vec::new();
        for door in doors {
            // Each listener begins with the first worker.
            turns.resize(turns.len().max(door.listener + 1), 0_usize);
            let Some(turn) = turns.get_mut(door.listener) else { continue };
            if let Some(share) = shares.get_mut(*turn % count.max(1)) {
                share.push(door);
            }
            *turn += 1;
        }
        let mut all_open = Vec::new();
        for (index, (doors, orders)) in shares.into_iter().zip(self.received.drain(..)).enumerate()
        {
            let (plan, cut) = (plan.clone(), self.cut.subscribe());
            let (open, opened) = oneshot::channel();
            let lag = with_local_recorder(
                &*plan.recorder,
                || histogram!("portcullis_worker_lag_seconds", "worker" => index.to_string()),
            );
            let end = End { drain: self.drain.clone(), events: self.events.clone() };
            self.threads.push(spawn(&format!("worker-{index}"), move || {
                let _end = end; // dropped last, by a panic if need be
                worker::run(plan, doors, orders, open, cut, lag)
            })?);
            all_open.push(opened);
        }
        let mut runtimes = Vec::new();
        for opened in all_open {
            let opened = opened.await;
            runtimes.push(opened.map_err(|_| io::Error::other("a worker ended before it served"))?);
        }
        self.runtimes.send_replace(runtimes.into());
        Ok(count)
    }

    /// Waits for the end of all until the deadline, and no longer.
    pub(crate) async fn end(self, deadline: Option<Instant>) {
        let threads = self.threads;
        let mut joined = tokio::task::spawn_blocking(|| {
            // A thread that panicked has been counted as one that died.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        if let Some(deadline) = deadline
            && timeout_at(deadline, &mut joined).await.is_ok()
        {
            return;
        }
        self.drain.force();
        self.cut.send_replace(true);
        let _ = joined.await;
    }
}

impl Orders {
    /// Has all serve by `plan`, and waits until they do. One that has ended serves by none.
    pub(crate) async fn take(&self, plan: &Arc<Plan>) {
        for taken in self.give(|taken| Order::Take(plan.clone(), taken)) {
            let _ = taken.await;
        }
    }

    /// Which of them do not answer before `deadline`; one that has ended is not expected to.
    pub(crate) async fn silent(&self, deadline: Instant) -> Vec<usize> {
        let mut silent = Vec::new();
        for (index, answered) in self.give(Order::Answer).into_iter().enumerate() {
            if timeout_at(deadline, answered).await.is_err() {
                silent.push(index);
            }
        }
        silent
    }

    /// Has all accept no more, and waits until it is so.
    pub(crate) async fn close_doors(&self) {
        for closed in self.give(Order::CloseDoors) {
            let _ = closed.await;
        }
    }

    fn give(&self, order: impl Fn(oneshot::Sender<()>) -> Order) -> Vec<oneshot::Receiver<()>> {
        let give = |worker: &mpsc::UnboundedSender<Order>| {
            let (done, wait) = oneshot::channel();
            let _ = worker.send(order(done));
            wait
        };
        self.0.iter().map(give).collect()
    }
}

/// The end of a worker. One that comes too early ends the gateway.
struct End {
    drain: DrainHandle,
    events: mpsc::UnboundedSender<Event>,
}

impl Drop for End {
    fn drop(&mut self) {
        // In a drain each worker ends when it has no connection left, the idle ones at once.
        if thread::panicking() || self.drain.phase() < Phase::Draining {
            // Without a receiver the gateway has ended anyway.
            let _ = self.events.send(Event::ThreadDied);
        }
    }
}

/// Runs something on a thread of this name; the log has the error that it ends with.
pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let report = move || {
        if let Err(error) = run() {
            tracing::error!(%error, "a thread ended");
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(report)
}
