mod guest;
mod shortage;
mod list;

pub use list::List;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{counter, set_default_local_recorder, with_local_recorder};
use portcullis_drain::Phase;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::{Connections, Ending};
use crate::facts::Voice;
use crate::listener::{OpenSocket, Socket, Stream, Terms};
use crate::plan::{Plan, RouteEnd};
use crate::route::{RouteTarget, Routes};
use crate::seam::Edge;
use crate::stack;

use self::guest::Guest;
use self::shortage::{Shortage, is_of_one_client};

/// The socket of one listener that belongs to one worker.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the two things that a door is")]
pub struct Door {
    /// The socket.
    pub socket: Socket,
    /// On what terms clients are let in.
    pub terms: Arc<Terms>,
}

/// Wraps the layers of `plan` into the services of one worker, and tells of its lists of replicas.
#[must_use]
pub fn build(plan: &Plan) -> (Edge, Vec<List>) {
    // Routes that lead to one upstream share its pools.
    let upstreams: BTreeMap<_, _> =
        plan.upstreams.iter().map(|(name, upstream)| (name, List::of(upstream))).collect();
    let targets = plan.routes.iter().filter_map(|route| {
        let backend = match &route.end {
            RouteEnd::Answer(answer) => stack::answer(route, answer.clone()),
            RouteEnd::Upstream(name) => {
                let (service, _) = upstreams.get(name)?;
                stack::backend(route, service.clone())
            }
        };
        Some(RouteTarget { backend, meters: route.meters.clone(), voice: route.voice })
    });
    let documents = plan.documents.iter().map(|document| RouteTarget {
        backend: stack::document(document),
        meters: document.meters.clone(),
        voice: Voice::Plain,
    });
    let routes = Routes::new(plan.table.clone(), targets.chain(documents));
    let edge = stack::edge(&plan.edge, plan.meters.clone(), routes);
    (edge, upstreams.into_values().map(|(_, list)| list).collect())
}

/// Accepts and serves on this thread until the gateway has drained, or is `cut`.
///
/// # Errors
///
/// When the runtime cannot be had.
pub fn run(plan: &Arc<Plan>, doors: Vec<Door>, cut: watch::Receiver<bool>) -> io::Result<()> {
    // What layers count on the way, instead of beforehand, is counted by whoever runs them.
    let _recorder = set_default_local_recorder(&*plan.recorder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(plan, doors, cut))
}

async fn serve(
    plan: &Arc<Plan>,
    doors: Vec<Door>,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let (edge, lists) = build(plan);
    let _following: JoinSet<()> = lists.into_iter().map(List::follow).collect();
    let stack = Arc::new(ArcSwap::from_pointee(edge));
    let phase = plan.edge.drain.handle().subscribe();
    let connections = Connections::new(
        stack,
        &plan.config.request_guard,
        phase.clone(),
        plan.config.drain.clone(),
    );
    let mut accepting = JoinSet::new();
    for door in doors {
        let door = OpenDoor { socket: door.socket.open()?, terms: door.terms };
        let connections = connections.within(door.terms.timeouts(), door.terms.limits());
        accepting.spawn(accept(door, plan.clone(), connections, phase.clone()));
    }
    drop(connections);

    let all = async { while accepting.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        // Dropping the runtime ends what is left.
        _ = cut.wait_for(|cut| *cut) => {}
    }
    Ok(())
}

struct OpenDoor {
    socket: OpenSocket,
    terms: Arc<Terms>,
}

async fn accept(
    door: OpenDoor,
    plan: Arc<Plan>,
    connections: Connections,
    mut phase: watch::Receiver<Phase>,
) {
    let mut open = JoinSet::new();
    let mut shortage = Shortage::default();
    let welcome = |open: &mut JoinSet<()>, (stream, peer): (Stream, Option<SocketAddr>)| {
        plan.meters.accepted.increment(1);
        match door.terms.admit(peer) {
            Ok(admission) => {
                let guest = Guest { stream, peer, admission, terms: door.terms.clone() };
                open.spawn(attend(guest, plan.clone(), connections.clone()));
            }
            Err(ending) => tell(&plan, &door.terms, peer, ending),
        }
    };
    loop {
        tokio::select! {
            biased;
            () = draining(&mut phase) => break,
            Some(_) = open.join_next() => {}
            accepted = door.socket.accept() => match accepted {
                Ok(connection) => {
                    shortage.is_over();
                    welcome(&mut open, connection);
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    plan.meters.accept_errors.increment(1);
                    shortage.is_there(&error);
                    // What helps is that a connection ends: here, or anywhere else in the process.
                    let ended = async {
                        if open.join_next().await.is_none() {
                            pending::<()>().await;
                        }
                    };
                    let _ = timeout(BREATH, ended).await;
                }
            },
        }
    }
    // Who has connected already is served: closing the door resets what waits behind it.
    while let Ok(Ok(connection)) = timeout(Duration::ZERO, door.socket.accept()).await {
        welcome(&mut open, connection);
    }
    drop(door.socket);
    while open.join_next().await.is_some() {}
}

/// Serves a connection, and counts it while it lasts.
async fn attend(mut guest: Guest, plan: Arc<Plan>, connections: Connections) {
    let _open = Open::new(&plan);
    let terms = guest.terms.clone();
    let known = guest.introduce().await;
    let peer = guest.peer;
    let served = match known {
        Ok(()) => guest.serve(connections).await,
        Err(ending) => Err(ending),
    };
    if let Err(ending) = served {
        tell(&plan, &terms, peer, ending);
    }
}

/// Waits until the gateway closes its doors.
pub(crate) async fn draining(phase: &mut watch::Receiver<Phase>) {
    // Without a sender there is no gateway: that is the end, too.
    drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
}

/// Counts how a connection ended that did not end well, and logs it.
fn tell(plan: &Plan, terms: &Terms, peer: Option<SocketAddr>, ending: Ending) {
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
    with_local_recorder(&*plan.recorder, || {
        counter!("portcullis_connection_errors_total", "reason" => reason).increment(1);
    });
}

/// A connection that is open until this is dropped, by a panic if need be.
struct Open<'a>(&'a Plan);

impl<'a> Open<'a> {
    fn new(plan: &'a Plan) -> Self {
        plan.meters.connections.increment(1.0);
        Self(plan)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.meters.connections.decrement(1.0);
    }
}

/// What passes before a failed accept is tried again: an error that stays must not burn a core.
const BREATH: Duration = Duration::from_millis(100);
