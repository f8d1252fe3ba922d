mod guest;
mod shortage;
mod list;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{Histogram, counter, set_default_local_recorder, with_local_recorder};
use portcullis_drain::Phase;
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::aside::aside;
use crate::connection::{Connections, Ending};
use crate::facts::Voice;
use crate::limit::Stores;
use crate::listener::{OpenSocket, Socket, Stream, Terms};
use crate::plan::{Plan, RouteEnd};
use crate::route::{RouteTarget, Routes};
use crate::seam::Edge;
use crate::stack;
use crate::telemetry::{Meters, Recorder};

use self::guest::Guest;
use self::list::List;
use self::shortage::{Shortage, is_of_one_client};

/// A socket of one listener that belongs to one worker.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the two things that a door is")]
pub struct Door {
    /// The listener's place in the configuration.
    pub listener: usize,
    /// The socket.
    pub socket: Socket,
}

/// What a worker is told while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Order {
    /// Serve by this plan from the next request on, and say when it is so.
    Take(Arc<Plan>, oneshot::Sender<()>),
    /// Say something, to show that you can.
    Answer(oneshot::Sender<()>),
    /// Accept no more, since somebody else does, and say when it is so.
    CloseDoors(oneshot::Sender<()>),
}

/// The services of one worker, made of the layers of a plan.
#[derive(Debug, Default)]
struct Services {
    /// By upstream. One that the next plan has, too, stays as it is.
    upstreams: BTreeMap<String, List>,
    /// The same of stores of limits.
    stores: Stores,
}

impl Services {
    /// Wraps the layers of `plan`.
    fn build(&mut self, plan: &Plan) -> Edge {
        let mut before = std::mem::take(&mut self.upstreams);
        for (name, upstream) in &plan.upstreams {
            let known = before.remove(name);
            let list = match known {
                Some(list) if list.is_of(upstream) => list,
                other => List::of(upstream, other.as_ref()),
            };
            self.upstreams.insert(name.clone(), list);
        }
        self.stores.follow(plan.limits.stores());
        let stores = &self.stores;
        let targets = plan.routes.iter().filter_map(|route| {
            let backend = match &route.end {
                RouteEnd::Answer(answer) => stack::answer(route, answer.clone(), stores),
                // Routes that lead to one upstream share its pools.
                RouteEnd::Upstream(name) => {
                    stack::backend(route, self.upstreams.get(name)?.service(), stores)
                }
            };
            Some(RouteTarget {
                backend,
                meters: route.meters.clone(),
                voice: route.voice,
                takes_parents: route.takes_parents(),
                answers_preflights: route.cors.is_some(),
            })
        });
        let documents = plan.documents.iter().map(|document| RouteTarget {
            backend: stack::document(document),
            meters: document.meters.clone(),
            voice: Voice::Plain,
            takes_parents: false,
            answers_preflights: false,
        });
        let routes = Routes::new(plan.table.clone(), targets.chain(documents));
        stack::edge(&plan.edge, plan.meters.clone(), routes, stores)
    }
}

/// What new connections meet: those that are open keep what they met, except for the stack.
#[derive(Debug)]
struct Front(Vec<(Arc<Terms>, Arc<Connections>)>);

impl Front {
    fn new(plan: &Plan, stack: &Arc<ArcSwap<Edge>>, phase: &watch::Receiver<Phase>) -> Self {
        let config = &plan.config;
        let connections = Connections::new(
            stack.clone(),
            plan.edge.request_guard.policy(),
            phase.clone(),
            config.drain.clone(),
        );
        let each = plan.terms.iter().map(|terms| {
            (terms.clone(), Arc::new(connections.within(terms.timeouts(), terms.limits())))
        });
        Self(each.collect())
    }
}

/// Accepts and serves on this thread until the gateway has drained, or is `cut`. Says when it is `open`, and how to look at its
/// runtime; how late it is for what is due is told to `lag`.
///
/// # Errors
///
/// When the runtime cannot be had, or a socket cannot be used.
pub fn run(
    plan: Arc<Plan>,
    doors: Vec<Door>,
    orders: mpsc::UnboundedReceiver<Order>,
    open: oneshot::Sender<RuntimeMetrics>,
    cut: watch::Receiver<bool>,
    lag: Histogram,
) -> io::Result<()> {
    // What layers count on the way, instead of beforehand, is counted by whoever runs them.
    let recorder = plan.recorder.clone();
    let _recorder = set_default_local_recorder(&*recorder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            ended = serve(plan, doors, orders, open, cut) => ended,
            never = pulse(lag) => match never {},
        }
    })
}

/// Measures how late this thread is for what is due: something else held it up for so long.
async fn pulse(lag: Histogram) -> Infallible {
    let mut every = interval(PULSE);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        lag.record(every.tick().await.elapsed());
    }
}

/// Often enough for a delay to be seen, and too seldom to cost anything.
const PULSE: Duration = Duration::from_millis(500);

async fn serve(
    plan: Arc<Plan>,
    doors: Vec<Door>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    open: oneshot::Sender<RuntimeMetrics>,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut services = Services::default();
    let stack = Arc::new(ArcSwap::from_pointee(services.build(&plan)));
    let phase = plan.edge.drain.handle().subscribe();
    let front = Arc::new(ArcSwap::from_pointee(Front::new(&plan, &stack, &phase)));
    let counts = Counts { meters: plan.meters.clone(), recorder: plan.recorder.clone() };
    // It may be replaced soon.
    drop(plan);
    let closed = watch::Sender::new(false);
    let (door_open, mut doors_open) = mpsc::channel(1);
    let mut accepting = JoinSet::new();
    for Door { listener, socket } in doors {
        let door = OpenDoor { listener, socket: socket.open()?, front: front.clone() };
        let closed = closed.subscribe();
        accepting.spawn(accept(door, door_open.clone(), counts.clone(), closed, phase.clone()));
    }
    drop(door_open);
    // Whoever started this may have lost interest.
    let _ = open.send(Handle::current().metrics());

    let mut ending = phase.clone();
    let all = async {
        while accepting.join_next().await.is_some() {}
        // Without doors it still has orders to follow.
        draining(&mut ending).await;
    };
    let follow = async {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Take(plan, taken) => {
                    stack.store(Arc::new(services.build(&plan)));
                    front.store(Arc::new(Front::new(&plan, &stack, &phase)));
                    let _ = taken.send(());
                }
                Order::Answer(answered) => drop(answered.send(())),
                Order::CloseDoors(done) => {
                    closed.send_replace(true);
                    while doors_open.recv().await.is_some() {}
                    let _ = done.send(());
                }
            }
        }
        pending::<()>().await; // nobody gives orders any more
    };
    tokio::select! {
        () = all => {}
        () = follow => {}
        // Dropping the runtime ends what is left.
        () = is_true(&mut cut) => {}
    }
    Ok(())
}

struct OpenDoor {
    listener: usize,
    socket: OpenSocket,
    front: Arc<ArcSwap<Front>>,
}

async fn accept(
    door: OpenDoor,
    is_open: mpsc::Sender<()>,
    counts: Counts,
    mut closed: watch::Receiver<bool>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut open = JoinSet::new();
    let mut shortage = Shortage::default();
    let welcome = |open: &mut JoinSet<()>, (stream, peer): (Stream, Option<SocketAddr>)| {
        counts.meters.accepted.increment(1);
        let front = door.front.load();
        // A plan has all the listeners there are: they cannot change while the gateway runs.
        let Some((terms, connections)) = front.0.get(door.listener) else { return };
        match terms.admit(peer) {
            Ok(admission) => {
                let guest = Guest { stream, peer, admission, terms: terms.clone() };
                // In a box, or the whole connection is moved again and again on its way into a task and out of it.
                open.spawn(Box::pin(attend(guest, counts.clone(), connections.clone())));
            }
            Err(ending) => tell(&counts, terms, peer, ending),
        }
    };
    let mut closing = pin!(aside(async {
        tokio::select! {
            biased;
            () = draining(&mut phase) => Closing::Draining,
            () = is_true(&mut closed) => Closing::HandedOver,
        }
    }));
    loop {
        tokio::select! {
            biased;
            why = &mut closing => {
                // Who has connected already is served: closing the door resets what waits behind it.
                while why == Closing::Draining
                    && let Ok(Ok(connection)) = timeout(Duration::ZERO, door.socket.accept()).await
                {
                    welcome(&mut open, connection);
                }
                break;
            }
            accepted = door.socket.accept() => {
                // Little is left of a connection that has ended, and this task need not be woken for that.
                while open.try_join_next().is_some() {}
                match accepted {
                    Ok(connection) => {
                        shortage.is_over();
                        welcome(&mut open, connection);
                    }
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => {
                        counts.meters.accept_errors.increment(1);
                        shortage.is_there(&error);
                        // What helps is that a connection ends: here, or anywhere else in the process.
                        let ended = async {
                            if open.join_next().await.is_none() {
                                pending::<()>().await;
                            }
                        };
                        let _ = timeout(BREATH, ended).await;
                    }
                }
            }
        }
    }
    drop((door.socket, is_open));
    while open.join_next().await.is_some() {}
}

/// Why a door is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    /// Nobody is to be let in any more.
    Draining,
    /// What waits is for somebody else, who has the same socket.
    HandedOver,
}

/// Serves a connection, and counts it while it lasts.
async fn attend(mut guest: Guest, counts: Counts, connections: Arc<Connections>) {
    let _open = Open::new(&counts);
    let terms = guest.terms.clone();
    let known = guest.introduce().await;
    let peer = guest.peer;
    let served = match known {
        Ok(()) => guest.serve(connections).await,
        Err(ending) => Err(ending),
    };
    if let Err(ending) = served {
        tell(&counts, &terms, peer, ending);
    }
}

/// Waits until the gateway closes its doors.
pub(crate) async fn draining(phase: &mut watch::Receiver<Phase>) {
    // Without a sender there is no gateway: that is the end, too.
    drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
}

/// Waits until it is so; whoever could have said so and is gone said it by that.
async fn is_true(it: &mut watch::Receiver<bool>) {
    drop(it.wait_for(|it| *it).await);
}

/// Where connections are counted.
#[derive(Clone)]
struct Counts {
    meters: Arc<Meters>,
    recorder: Arc<Recorder>,
}

/// Counts how a connection ended that did not end well, and logs it.
fn tell(counts: &Counts, terms: &Terms, peer: Option<SocketAddr>, ending: Ending) {
    let (client, reason) = (peer.map(tracing::field::display), ending.reason());
    if ending.is_limit() {
        if let Some(before) = terms.speak(reason) {
            tracing::warn!(client, reason, before, "a connection was refused");
        }
    } else if ending.is_refusal() {
        tracing::info!(client, reason, "a connection was refused");
    } else {
        tracing::debug!(client, reason, "a connection ended early");
    }
    with_local_recorder(&*counts.recorder, || {
        counter!("portcullis_connection_errors_total", "reason" => reason).increment(1);
    });
}

/// A connection that is open until this is dropped, by a panic if need be.
struct Open<'a>(&'a Counts);

impl<'a> Open<'a> {
    fn new(counts: &'a Counts) -> Self {
        counts.meters.connections.increment(1.0);
        Self(counts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.meters.connections.decrement(1.0);
    }
}

/// What passes before a failed accept is tried again: an error that stays must not burn a core.
const BREATH: Duration = Duration::from_millis(100);
