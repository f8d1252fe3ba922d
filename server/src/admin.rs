mod probe;
mod standing;
mod readiness;
mod key_sets;
mod reload;
mod present;

pub use key_sets::{KeySet, KeySetState};
pub use readiness::{Configured, Readiness, Status};
pub use standing::Standing;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use metrics::{counter, gauge, with_local_recorder};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::lifecycle;
use crate::plan::{Plan, UpstreamPlan};
use crate::reload::{Current, Reloads};
use crate::telemetry::dropped;

use self::standing::{active, see};

/// What the handlers know.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) current: watch::Receiver<Arc<Current>>,
    pub(crate) state: watch::Receiver<lifecycle::State>,
    pub(crate) reloads: Reloads,
}

impl Known {
    fn current(&self) -> Arc<Current> {
        self.current.borrow().clone()
    }
}

/// Serves probes and scrapes, and looks in the background at the replicas that are not asked for their health. Once it has `left`, another process does.
///
/// Without a socket nobody asks, so nothing is probed; the metrics are still kept in bounds.
pub(crate) async fn serve(known: Known, sockets: Vec<StdListener>, left: watch::Receiver<bool>) {
    let current = known.current();
    let upkeep = upkeep(&current.plan);
    if current.plan.config.admin.is_none() {
        return upkeep.await;
    }
    let changes = known.current.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/health", get(livez))
        .route("/readyz", get(readyz))
        .route("/ready", get(readyz))
        .route("/metrics", get(metrics))
        .route("/reload", post(reload::reload))
        .with_state(known)
        .into_make_service_with_connect_info::<SocketAddr>();
    let answer = async {
        for socket in sockets {
            let mut left = left.clone();
            let left = async move { drop(left.wait_for(|left| *left).await) };
            let served = match TcpListener::from_std(socket) {
                Ok(socket) => {
                    axum::serve(socket, router.clone()).with_graceful_shutdown(left).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the admin listener ended");
            }
        }
    };
    tokio::join!(answer, probe::watch(changes), upkeep);
}

/// Histograms hold what was measured since the last scrape; without scrapes this empties them.
async fn upkeep(plan: &Plan) {
    let handle = plan.recorder.handle();
    let mut every = interval(Duration::from_secs(5));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}

/// The process runs: what restarts it must not look at anything else.
async fn livez(State(known): State<Known>) -> impl IntoResponse {
    #[derive(serde::Serialize)]
    struct Alive {
        status: &'static str,
        state: &'static str,
        version: &'static str,
    }
    let state = known.state.borrow().name();
    (
        [(CACHE_CONTROL, "no-store")],
        Json(Alive { status: "alive", state, version: env!("CARGO_PKG_VERSION") }),
    )
}

/// Whether new requests should come here. What is told was found out before: asking costs nothing.
async fn readyz(State(known): State<Known>) -> impl IntoResponse {
    let state = *known.state.borrow();
    let readiness = Readiness::new(&known.current(), state);
    let status = match readiness.status() {
        Status::Ready | Status::Degraded => StatusCode::OK,
        Status::Unready | Status::Starting | Status::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn metrics(State(known): State<Known>) -> impl IntoResponse {
    let plan = known.current().plan.clone();
    with_local_recorder(&*plan.recorder, || {
        let phase = f64::from(plan.edge.drain.handle().phase() as u8);
        gauge!("portcullis_drain_phase").set(phase);
        counter!("portcullis_log_lines_dropped_total").absolute(dropped());
    });
    count_ignored(&plan);
    plan.upstreams.values().for_each(|upstream| show_replicas(upstream));
    let text = present::only(&plan, &plan.recorder.handle().render());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// What is measured by being looked at.
fn show_replicas(upstream: &UpstreamPlan) {
    let seen = see(upstream);
    let chances: Vec<_> = seen.iter().map(|one| one.chance).collect();
    for (one, is_active) in seen.iter().zip(active(&chances, upstream.is_ordered)) {
        // To take it sets the gauges of its rates.
        let _ = one.replica.breaker.handle().snapshot();
        let meters = one.replica.connect.meters();
        meters.active(is_active);
        if upstream.is_checked {
            meters.up(one.is_up);
        }
    }
}

/// What `Connection` headers named and could not have is counted by the layer.
fn count_ignored(plan: &Plan) {
    let ignored = plan.edge.hop_by_hop.handle();
    let directions =
        [("request", ignored.ignored_in_requests()), ("response", ignored.ignored_in_responses())];
    with_local_recorder(&*plan.recorder, || {
        for (direction, ignored) in directions {
            let kinds = [
                ("malformed", ignored.malformed()),
                ("protected", ignored.protected()),
                ("excess", ignored.excess()),
            ];
            for (kind, count) in kinds {
                counter!("portcullis_nominations_ignored_total", "direction" => direction, "kind" => kind)
                    .absolute(count);
            }
        }
    });
}
