use std::fmt;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use metrics::set_default_local_recorder;
use portcullis_drain::{DrainHandle, Phase, Report};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle as TaskHandle, JoinSet, spawn_blocking};
use tokio::time::Instant;

use crate::admin::{self, Known};
use crate::config::{Address, Listener};
use crate::handover::{Predecessor, Ready, Successor};
use crate::lifecycle::{Action, Event, Outcome, State};
use crate::listener::{self, Hold, Inherited, Legacy, Opened, Socket};
use crate::notify;
use crate::plan::Plan;
use crate::reload::{Asked, Current, NotReloaded, Reloader, Reloads};
use crate::worker::Door;
use crate::workers::{Workers, spawn};

/// A running gateway. It goes on when this is dropped; [`Gateway::stop`] ends it.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    drain: DrainHandle,
    events: mpsc::UnboundedSender<Event>,
    reloads: Reloads,
    stopped: oneshot::Receiver<Outcome>,
}

/// What a gateway begins with, besides its plan.
#[derive(Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "made field by field, and the rest by default")]
pub struct Beginning<'p> {
    /// The file that the plan was made of, to be read again.
    pub file: Option<PathBuf>,
    /// The process that hands its sockets over.
    pub predecessor: Option<&'p mut Predecessor>,
}

impl Gateway {
    /// Binds the sockets of a plan and starts its threads: one for each worker, and one for the admin
    /// listener, the probes and the end. It serves when this returns.
    ///
    /// # Errors
    ///
    /// When a socket cannot be bound or a thread cannot be had. The message names the address.
    pub fn start(plan: Plan) -> io::Result<Self> {
        Self::begin(plan, Beginning::default())
    }

    /// As [`start`](Self::start), with a past.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn begin(plan: Plan, beginning: Beginning<'_>) -> io::Result<Self> {
        let Beginning { file, predecessor } = beginning;
        plan.warn();
        let plan = Arc::new(plan);
        let workers = plan.config.workers.map_or_else(cores, usize::from);
        let mut opening =
            Opening { workers, predecessor, inherited: Inherited::from_environment() };
        let listeners = plan.config.listeners.iter().map(|listener| opening.listener(listener));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let admin =
            plan.config.admin.as_ref().map(|admin| opening.admin(admin.address)).transpose()?;

        let addresses =
            listeners.iter().flatten().filter_map(|(_, opened)| opened.address).collect();
        let admin_address = admin.as_ref().and_then(|(_, opened)| opened.address);
        let drain = plan.edge.drain.handle();
        let (events, received) = mpsc::unbounded_channel();
        let (stopping, stopped) = oneshot::channel();
        let (reloads, asked) = Reloads::new();
        let (started, serving) = std_mpsc::channel();
        let mut life = Life::new(plan, workers, events.clone());
        let asks = reloads.clone();
        spawn("admin", move || {
            // A circuit may change by being looked at, which it counts.
            let recorder = life.current.borrow().plan.recorder.clone();
            let _recorder = set_default_local_recorder(&*recorder);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(async {
                let admin = life.take(listeners, admin)?;
                let tasks = life.tasks(admin, asks, file, asked);
                let outcome = life.live(received, started).await;
                drop(tasks);
                io::Result::Ok(outcome)
            })?;
            // Whoever started the gateway may have lost interest.
            let _ = stopping.send(outcome);
            // Nobody is left who could use what a blocking task is about to find out.
            runtime.shutdown_background();
            Ok(())
        })?;
        // A thread that ends before has said why in the log.
        serving.recv().map_err(|_| io::Error::other("a thread ended before it served"))?;
        Ok(Self { addresses, admin: admin_address, drain, events, reloads, stopped })
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

    /// Reads the file again and serves by it, and returns the number of the new configuration when all workers do. What is
    /// in flight ends by the old one.
    ///
    /// Cancel safe: what was asked for is done in any case.
    ///
    /// # Errors
    ///
    /// When there is no file, when the gateway does not run, or all that is wrong with the file: the old one stays.
    pub async fn reload(&self) -> Result<u64, NotReloaded> {
        self.reloads.ask().await
    }

    /// As [`reload`](Self::reload), for who does not wait: the log says what came of it.
    pub fn reload_soon(&self) {
        self.reloads.ask_soon();
    }

    /// Starts the program again as it was started, gives it the sockets, and drains once it serves. If it does not come to
    /// that, the log says why, and this one goes on.
    pub fn hand_over(&self) {
        let _ = self.events.send(Event::HandOver);
    }

    /// Waits for the end.
    pub async fn stopped(&mut self) -> Outcome {
        (&mut self.stopped).await.unwrap_or(Outcome::Broken)
    }
}

/// What the thread that outlives all others knows.
struct Life {
    current: watch::Sender<Arc<Current>>,
    state: watch::Sender<State>,
    events: mpsc::UnboundedSender<Event>,
    drain: DrainHandle,
    workers: Workers,
    /// Where they accept, until they do.
    doors: Vec<Door>,
    /// Kept to the end: nobody else has the addresses before.
    holds: Vec<Hold>,
    /// The sockets of each listener by its name, for a successor. What is here keeps them open: when the workers close
    /// their doors it must be gone, else clients would wait where nobody accepts.
    lent: Vec<(String, Legacy)>,
    successor: Option<TaskHandle<io::Result<Ready>>>,
    ready: Option<Ready>,
    /// Whether another process serves in the place of this one.
    left: watch::Sender<bool>,
    signalled: Instant,
    drained: Option<TaskHandle<Report>>,
}

impl Life {
    fn new(plan: Arc<Plan>, workers: usize, events: mpsc::UnboundedSender<Event>) -> Self {
        let drain = plan.edge.drain.handle();
        Self {
            current: watch::Sender::new(Arc::new(Current::new(plan))),
            state: watch::Sender::new(State::Initializing),
            workers: Workers::new(workers, drain.clone(), events.clone()),
            events,
            drain,
            doors: Vec::new(),
            holds: Vec::new(),
            lent: Vec::new(),
            successor: None,
            ready: None,
            left: watch::Sender::new(false),
            signalled: Instant::now(),
            drained: None,
        }
    }

    /// Takes the sockets, and returns those of the admin listener.
    fn take(
        &mut self,
        listeners: Vec<Vec<Named>>,
        admin: Option<Named>,
    ) -> io::Result<Vec<TcpListener>> {
        for (place, all) in listeners.into_iter().enumerate() {
            for (name, opened) in all {
                tracing::info!(address = opened.name, "listening");
                self.lent.push((name, opened.legacy()?));
                let doors = opened.sockets.into_iter();
                self.doors.extend(doors.map(|socket| Door { listener: place, socket }));
                self.holds.push(opened.hold);
            }
        }
        let Some((name, opened)) = admin else { return Ok(Vec::new()) };
        tracing::info!(address = opened.name, "admin listening");
        self.lent.push((name, opened.legacy()?));
        self.holds.push(opened.hold);
        let sockets = opened.sockets.into_iter().filter_map(|socket| match socket {
            Socket::Tcp(socket) => Some(socket),
            _ => None, // it has an address
        });
        Ok(sockets.collect())
    }

    /// What this thread does besides; it ends when this is dropped.
    fn tasks(
        &self,
        admin: Vec<TcpListener>,
        reloads: Reloads,
        file: Option<PathBuf>,
        asked: mpsc::Receiver<Asked>,
    ) -> JoinSet<()> {
        let known = Known {
            current: self.current.subscribe(),
            state: self.state.subscribe(),
            runtimes: self.workers.runtimes(),
            started: SystemTime::now(),
            reloads,
        };
        let orders = self.workers.orders();
        let (state, current) = (self.state.subscribe(), self.current.clone());
        let reloader = Reloader::new(file, current, state.clone(), orders.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(admin::serve(known, admin, self.left.subscribe()));
        tasks.spawn(reloader.run(asked));
        tasks.spawn(notify::watchdog(orders, state));
        tasks
    }

    /// Goes from state to state until the end. Says when it has `started`.
    async fn live(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        started: std_mpsc::Sender<()>,
    ) -> Outcome {
        let mut started = Some(started);
        let mut event = Event::Bound;
        let outcome = loop {
            let action = self.enter(event);
            let state = *self.state.borrow();
            if let State::Stopped(outcome) = state {
                break outcome;
            }
            match action {
                Action::Wait | Action::End => {}
                Action::Start => self.start().await,
                Action::HandOver => self.hand_over(),
                Action::Drain => self.begin_to_drain(event).await,
            }
            if !matches!(state, State::Initializing | State::Starting) {
                // Heard once; whoever does not wait for it does not mind.
                let _ = started.take().map(|started| started.send(()));
            }
            // One that came too late finds that its place is not free.
            self.ready = None;
            event = tokio::select! {
                Some(event) = events.recv() => event, // we hold a sender
                ready = finished(&mut self.successor) => self.succeeded(ready),
            };
        };
        self.end(outcome).await;
        tracing::info!(?outcome, "stopped");
        outcome
    }

    fn enter(&self, event: Event) -> Action {
        let before = *self.state.borrow();
        let (next, action) = before.next(event);
        if next == before {
            tracing::debug!(state = next.name(), ?event, ?action, "lifecycle");
        } else {
            tracing::info!(from = before.name(), to = next.name(), ?event, "lifecycle");
            self.state.send_replace(next);
        }
        self.current.borrow().plan.meters.is_in(next);
        action
    }

    async fn start(&mut self) {
        let plan = self.current.borrow().plan.clone();
        plan.begin();
        let started = self.workers.start(&plan, std::mem::take(&mut self.doors)).await;
        let event = match started {
            Ok(workers) => {
                tracing::info!(workers, "serving");
                notify::ready();
                Event::Serving
            }
            Err(error) => {
                tracing::error!(%error, "cannot start the workers");
                Event::ThreadDied
            }
        };
        // The receiver is right here.
        let _ = self.events.send(event);
    }

    fn hand_over(&mut self) {
        if self.successor.is_some() {
            tracing::info!("a successor starts already");
            return;
        }
        let lent = self.lent.iter().map(|(name, legacy)| Ok((name.clone(), legacy.try_clone()?)));
        let lent = lent.collect::<io::Result<Vec<_>>>();
        tracing::info!("starting a successor");
        let start = move || Successor::start(lent?)?.ready();
        self.successor = Some(spawn_blocking(start));
    }

    fn succeeded(&mut self, ready: io::Result<Ready>) -> Event {
        self.successor = None;
        match ready {
            Ok(ready) => {
                self.ready = Some(ready);
                Event::Replaced
            }
            Err(error) => {
                tracing::error!(%error, "the successor does not serve, so that this process goes on");
                Event::NotReplaced
            }
        }
    }

    async fn begin_to_drain(&mut self, event: Event) {
        self.signalled = Instant::now();
        self.lent.clear();
        let linger = match self.ready.take().filter(|_| event == Event::Replaced) {
            Some(ready) => {
                self.workers.orders().close_doors().await;
                self.left.send_replace(true);
                tracing::info!(successor = ready.id, "another process serves from now on");
                notify::replaced(ready.id);
                ready.leave();
                LINGER
            }
            None => {
                notify::stopping();
                Duration::ZERO
            }
        };
        let (shutdown, events) = (self.drain.clone(), self.events.clone());
        self.drained = Some(tokio::spawn(async move {
            let report = shutdown.drain_lingering(linger).await;
            let _ = events.send(Event::Drained(report.cut().len()));
            report
        }));
        // Said once it is so: whoever reads it may count on it.
        drop(self.drain.subscribe().wait_for(|phase| *phase > Phase::Ready).await);
        tracing::info!(in_flight = self.drain.in_flight(), "draining");
    }

    async fn end(self, outcome: Outcome) {
        if let (Outcome::Cut(_) | Outcome::Drained, Some(report)) = (outcome, self.drained) {
            tell(report.await.ok());
        }
        // What is answered may still be on its way out; beyond the deadline it is not waited for.
        let deadline = self.signalled + self.current.borrow().plan.config.drain.deadline();
        let gently = outcome == Outcome::Drained;
        self.workers.end(gently.then_some(deadline)).await;
        let plan = self.current.borrow().plan.clone();
        if let (Some(traces), false) = (&plan.traces, outcome == Outcome::Forced) {
            let deadline = if gently { deadline } else { Instant::now() + LAST_BREATH };
            traces.exporting().end(deadline).await;
        }
        // Another instance may have the addresses from now on.
        drop(self.holds);
    }
}

/// Sockets, and what a successor knows them by: the address as the file has it, since port 0 is another port each time.
type Named = (String, Opened);

/// Where sockets come from: a predecessor, whoever started the process, or the system.
struct Opening<'p> {
    workers: usize,
    predecessor: Option<&'p mut Predecessor>,
    inherited: Inherited,
}

impl Opening<'_> {
    fn listener(&mut self, listener: &Listener) -> io::Result<Vec<Named>> {
        let mode = listener.socket_mode.as_ref().map(|mode| *mode.get_ref()).unwrap_or_default();
        let mut all = Vec::new();
        for address in &listener.addresses {
            let name = format!("listener {address}");
            let opened = match self.handed_over(&name, address, self.workers) {
                Ok(opened) if opened.is_empty() => {
                    listener::open(address, mode, self.workers, &mut self.inherited)
                }
                opened => opened,
            };
            let opened = opened.map_err(|error| at(address, &error))?;
            all.extend(opened.into_iter().map(|opened| (name.clone(), opened)));
        }
        Ok(all)
    }

    fn admin(&mut self, address: SocketAddr) -> io::Result<Named> {
        let name = format!("admin {address}");
        let opened = match self.handed_over(&name, &Address::Tcp(address), 1) {
            Ok(mut opened) => match opened.pop() {
                Some(opened) => Ok(opened),
                None => listener::bind(address, 1).map(Opened::from),
            },
            Err(error) => Err(error),
        };
        Ok((name, opened.map_err(|error| at(&address, &error))?))
    }

    /// What a predecessor has of this name: of `systemd:…` all, since that may be several.
    fn handed_over(
        &mut self,
        name: &str,
        address: &Address,
        workers: usize,
    ) -> io::Result<Vec<Opened>> {
        let mut opened = Vec::new();
        let Some(predecessor) = &mut self.predecessor else { return Ok(opened) };
        while let Some(legacy) = predecessor.sockets(name) {
            opened.push(legacy.open(address, workers)?);
            if !matches!(address, Address::Inherited(_)) {
                break;
            }
        }
        Ok(opened)
    }
}

fn at(address: &dyn fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// What has come of a task, if there is one.
async fn finished<T>(task: &mut Option<TaskHandle<io::Result<T>>>) -> io::Result<T> {
    match task {
        Some(task) => task.await.unwrap_or_else(|error| Err(io::Error::other(error))),
        None => pending().await,
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

/// How long clients have at least to learn that they are to connect anew, where another process serves already.
const LINGER: Duration = Duration::from_secs(3);

/// For what has no time left.
const LAST_BREATH: Duration = Duration::from_secs(1);

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
