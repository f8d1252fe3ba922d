use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use metrics::set_default_local_recorder;
use portcullis_drain::{DrainHandle, Phase, Report};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::admin;
use crate::lifecycle::{Action, Event, Outcome, State};
use crate::listener::{self, Hold, Inherited, Listeners, Opened};
use crate::plan::Plan;
use crate::worker::{self, Door};

/// A running gateway. It goes on when this is dropped; [`Gateway::stop`] ends it.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    drain: DrainHandle,
    events: mpsc::UnboundedSender<Event>,
    stopped: oneshot::Receiver<Outcome>,
}

impl Gateway {
    /// Binds the sockets of a plan and starts its threads: one for each worker, and one for the admin
    /// listener, the probes and the end.
    ///
    /// # Errors
    ///
    /// When a socket cannot be bound or a thread cannot be had. The message names the address.
    pub fn start(plan: Plan) -> io::Result<Self> {
        plan.warn();
        let plan = Arc::new(plan);
        let workers = plan.config.workers.map_or_else(cores, usize::from);
        let listeners = open(&plan, workers)?;
        let admin = match &plan.config.admin {
            Some(admin) => {
                let bound = listener::bind(admin.address, 1);
                Some(bound.map_err(|error| named(&admin.address, &error))?)
            }
            None => None,
        };

        let addresses = listeners.iter().flatten().filter_map(|opened| opened.address).collect();
        let admin_address = admin.as_ref().map(|admin| admin.address);
        let drain = plan.edge.drain.handle();
        let (events, received) = mpsc::unbounded_channel();
        let (stopping, stopped) = oneshot::channel();
        let life =
            Life { plan, workers, events: events.clone(), threads: Vec::new(), holds: Vec::new() };
        spawn("admin", move || {
            // A circuit may change by being looked at, which it counts.
            let recorder = life.plan.recorder.clone();
            let _recorder = set_default_local_recorder(&*recorder);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(life.live(listeners, admin, received));
            // Whoever started the gateway may have lost interest.
            let _ = stopping.send(outcome);
            Ok(())
        })?;
        Ok(Self { addresses, admin: admin_address, drain, events, stopped })
    }

    /// The addresses of the listeners, in the order of the configuration, with their real ports; unix sockets have none.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the admin listener.
    #[must_use]
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Looks at the drain; to start it, see [`Gateway::stop`].
    pub const fn drain(&self) -> &DrainHandle {
        &self.drain
    }

    /// Ends the gateway: gently when it is called first, at once when it is called again.
    pub fn stop(&self) {
        // A gateway that has ended has nothing left to end.
        let _ = self.events.send(Event::Signal);
    }

    /// Waits for the end.
    pub async fn stopped(&mut self) -> Outcome {
        (&mut self.stopped).await.unwrap_or(Outcome::Broken)
    }
}

/// What the thread that outlives all others knows.
struct Life {
    plan: Arc<Plan>,
    workers: usize,
    events: mpsc::UnboundedSender<Event>,
    threads: Vec<JoinHandle<()>>,
    /// Kept to the end: nobody else has the addresses before.
    holds: Vec<Hold>,
}

impl Life {
    async fn live(
        mut self,
        listeners: Vec<Vec<Opened>>,
        admin: Option<Listeners>,
        mut events: mpsc::UnboundedReceiver<Event>,
    ) -> Outcome {
        let drain = self.plan.edge.drain.handle();
        let (cut, cuts) = watch::channel(false);
        let mut listeners = Some(listeners);
        let mut drained = None;
        let mut signalled = Instant::now();
        for opened in listeners.iter().flatten().flatten() {
            tracing::info!(address = opened.name, "listening");
        }
        let admin = admin.map(|admin| {
            tracing::info!(address = %admin.address, "admin listening");
            self.holds.push(Hold::Address(admin.lock));
            admin.sockets
        });
        let admin = tokio::spawn(admin::serve(self.plan.clone(), admin.unwrap_or_default()));
        // What workers only read is kept fresh here, where neither load nor limits can starve it. It ends when the set is
        // dropped: replicas are asked for their health while the gateway drains.
        let mut refreshers = JoinSet::new();
        for issuer in self.plan.issuers.values() {
            refreshers.spawn(issuer.refresher());
        }
        for upstream in self.plan.upstreams.values() {
            refreshers.spawn(upstream.failover.health_checker());
            if let Some(discovery) = upstream.discovery.clone() {
                refreshers.spawn(discovery.run());
            }
        }
        for tls in self.plan.terms.iter().filter_map(|terms| terms.tls()) {
            refreshers.spawn(tls.clone().refresh());
        }

        let mut state = State::Initializing;
        let mut event = Event::Bound;
        let outcome = loop {
            let (next, action) = state.next(event);
            tracing::debug!(from = ?state, ?event, to = ?next, "lifecycle");
            state = next;
            match action {
                Action::Wait | Action::End => {}
                Action::Start => {
                    let started = self.start_workers(listeners.take().unwrap_or_default(), &cuts);
                    let event = if started.is_ok() { Event::Serving } else { Event::ThreadDied };
                    // The receiver is right here.
                    let _ = self.events.send(event);
                }
                Action::Drain => {
                    signalled = Instant::now();
                    let (shutdown, events) = (drain.clone(), self.events.clone());
                    drained = Some(tokio::spawn(async move {
                        let report = shutdown.drain().await;
                        let _ = events.send(Event::Drained(report.cut().len()));
                        report
                    }));
                    // Said once it is so: whoever reads it may count on it.
                    drop(drain.subscribe().wait_for(|phase| *phase > Phase::Ready).await);
                    tracing::info!(in_flight = drain.in_flight(), "draining");
                }
            }
            if let State::Stopped(outcome) = state {
                break outcome;
            }
            event = match events.recv().await {
                Some(event) => event,
                None => pending().await, // we hold a sender
            };
        };

        if let (Outcome::Cut(_) | Outcome::Drained, Some(report)) = (outcome, drained) {
            tell(report.await.ok());
        }
        // What is answered may still be on its way out; beyond the deadline it is not waited for.
        let deadline = signalled + self.plan.config.drain.deadline();
        let gently = outcome == Outcome::Drained;
        self.end_workers(&drain, &cut, gently.then_some(deadline)).await;
        admin.abort();
        tracing::info!(?outcome, "stopped");
        outcome
    }

    fn start_workers(
        &mut self,
        listeners: Vec<Vec<Opened>>,
        cuts: &watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut doors: Vec<Vec<Door>> = (0..self.workers).map(|_| Vec::new()).collect();
        for (opened, terms) in listeners.into_iter().zip(&self.plan.terms) {
            for opened in opened {
                for (doors, socket) in doors.iter_mut().zip(opened.sockets) {
                    doors.push(Door { socket, terms: terms.clone() });
                }
                self.holds.push(opened.hold);
            }
        }
        for (index, doors) in doors.into_iter().enumerate() {
            let (plan, cuts) = (self.plan.clone(), cuts.clone());
            let end = End { drain: plan.edge.drain.handle(), events: self.events.clone() };
            self.threads.push(spawn(&format!("worker-{index}"), move || {
                let _end = end; // dropped last, by a panic if need be
                worker::run(&plan, doors, cuts)
            })?);
        }
        tracing::info!(workers = self.workers, "serving");
        Ok(())
    }

    /// Waits for the workers until the deadline, and no longer.
    async fn end_workers(
        &mut self,
        drain: &DrainHandle,
        cut: &watch::Sender<bool>,
        deadline: Option<Instant>,
    ) {
        let threads = std::mem::take(&mut self.threads);
        let mut joined = tokio::task::spawn_blocking(|| {
            // A thread that panicked has been counted as one that died.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        if let Some(deadline) = deadline
            && timeout_at(deadline, &mut joined).await.is_ok()
        {
            return;
        }
        drain.force();
        let _ = cut.send(true);
        let _ = joined.await;
    }
}

/// The sockets of each listener, for each of its addresses.
fn open(plan: &Plan, workers: usize) -> io::Result<Vec<Vec<Opened>>> {
    let mut inherited = Inherited::from_environment();
    let listeners = plan.config.listeners.iter();
    listeners
        .map(|listener| {
            let mode =
                listener.socket_mode.as_ref().map(|mode| *mode.get_ref()).unwrap_or_default();
            let mut all = Vec::new();
            for address in &listener.addresses {
                let opened = listener::open(address, mode, workers, &mut inherited);
                all.extend(opened.map_err(|error| named(address, &error))?);
            }
            Ok(all)
        })
        .collect()
}

fn named(address: &dyn fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
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

fn tell(report: Option<Report>) {
    let Some(report) = report else { return };
    for cut in report.cut() {
        let age = cut.age().as_secs_f64();
        let (kind, method) = (cut.kind().name(), cut.method().map(tracing::field::display));
        tracing::warn!(kind, method, path = cut.path(), age, "cut off at the deadline");
    }
    tracing::info!(completed = report.completed(), cut = report.cut().len(), "drained");
}

fn spawn(
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

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
