use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{counter, set_default_local_recorder, with_local_recorder};
use portcullis_drain::Phase;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::ClientTimeouts;
use crate::connection::{Connections, Ending};
use crate::facts::Voice;
use crate::plan::{Plan, UpstreamPlan};
use crate::route::{RouteTarget, Routes};
use crate::seam::Edge;
use crate::stack;

/// The socket of one listener that belongs to one worker.
#[expect(missing_debug_implementations, reason = "an acceptor has nothing to show")]
#[expect(clippy::exhaustive_structs, reason = "the three things that a door is")]
pub struct Door {
    /// The socket.
    pub socket: StdListener,
    /// Its TLS, if it has any.
    pub tls: Option<TlsAcceptor>,
    /// How long clients may take.
    pub timeouts: ClientTimeouts,
}

/// Wraps the layers of `plan` into the services of one worker.
#[must_use]
pub fn build(plan: &Plan) -> Edge {
    // Routes that lead to one upstream share its pools.
    let replicas = |upstream: &UpstreamPlan| {
        let replicas = upstream.replicas.iter();
        replicas.map(|replica| replica.place(stack::replica(replica))).collect::<Vec<_>>()
    };
    let upstreams: BTreeMap<_, _> =
        plan.upstreams.iter().map(|(name, plan)| (name, (plan, replicas(plan)))).collect();
    let targets = plan.routes.iter().filter_map(|route| {
        let (upstream, replicas) = upstreams.get(&route.upstream)?;
        Some(RouteTarget {
            backend: stack::backend(route, upstream, replicas.clone()),
            meters: route.meters.clone(),
            voice: route.voice,
        })
    });
    let documents = plan.documents.iter().map(|document| RouteTarget {
        backend: stack::document(document),
        meters: document.meters.clone(),
        voice: Voice::Plain,
    });
    let routes = Routes::new(plan.table.clone(), targets.chain(documents));
    stack::edge(&plan.edge, plan.meters.clone(), routes)
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
    let stack = Arc::new(ArcSwap::from_pointee(build(plan)));
    let phase = plan.edge.drain.handle().subscribe();
    let connections = Connections::new(
        stack,
        &plan.config.request_guard,
        phase.clone(),
        plan.config.drain.clone(),
    );
    let mut accepting = JoinSet::new();
    for door in doors {
        let socket = TcpListener::from_std(door.socket)?;
        let door = OpenDoor { socket, tls: door.tls, timeouts: door.timeouts };
        accepting.spawn(accept(door, plan.clone(), connections.clone(), phase.clone()));
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
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    timeouts: ClientTimeouts,
}

async fn accept(
    door: OpenDoor,
    plan: Arc<Plan>,
    connections: Connections,
    mut phase: watch::Receiver<Phase>,
) {
    let mut open = JoinSet::new();
    let welcome = |open: &mut JoinSet<()>, (stream, peer): (TcpStream, SocketAddr)| {
        let serve = serve_one(stream, peer, door.tls.clone(), door.timeouts, connections.clone());
        let plan = plan.clone();
        open.spawn(async move { tell(&plan, peer, serve).await });
    };
    loop {
        tokio::select! {
            biased;
            () = draining(&mut phase) => break,
            Some(_) = open.join_next() => {}
            accepted = door.socket.accept() => match accepted {
                Ok(connection) => welcome(&mut open, connection),
                Err(error) => {
                    // Mostly out of descriptors: nothing helps but that others end.
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(BREATH).await;
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

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    timeouts: ClientTimeouts,
    connections: Connections,
) -> Result<(), Ending> {
    // Pieces of a stream go out as they come.
    stream.set_nodelay(true).map_err(|_| Ending::Broken)?;
    match tls {
        None => connections.serve(stream, peer, timeouts).await,
        Some(tls) => {
            let handshake = timeout(timeouts.tls_handshake, tls.accept(stream)).await;
            let stream =
                handshake.map_err(|_| Ending::HandshakeTimeout)?.map_err(|_| Ending::Handshake)?;
            connections.serve(stream, peer, timeouts).await
        }
    }
}

/// Waits until the gateway closes its doors.
pub(crate) async fn draining(phase: &mut watch::Receiver<Phase>) {
    // Without a sender there is no gateway: that is the end, too.
    drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
}

/// Counts a connection while it lasts, and how it ended.
async fn tell(plan: &Plan, peer: SocketAddr, serve: impl Future<Output = Result<(), Ending>>) {
    plan.meters.accepted.increment(1);
    let open = Open(plan);
    open.0.meters.connections.increment(1.0);
    if let Err(ending) = serve.await {
        let reason = ending.reason();
        if ending.is_refusal() {
            tracing::info!(client = %peer, reason, "a connection was refused");
        } else {
            tracing::debug!(client = %peer, reason, "a connection ended early");
        }
        with_local_recorder(&*plan.recorder, || {
            counter!("portcullis_connection_errors_total", "reason" => reason).increment(1);
        });
    }
}

/// A connection that is open until this is dropped, by a panic if need be.
struct Open<'a>(&'a Plan);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.meters.connections.decrement(1.0);
    }
}

/// What passes before a failed accept is tried again: an error that stays must not burn a core.
const BREATH: Duration = Duration::from_millis(100);
