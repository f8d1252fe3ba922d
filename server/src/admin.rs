mod admit;
mod probe;
mod standing;
mod readiness;
mod key_sets;
mod reload;
mod change;
mod overview;
mod page;
mod present;
mod family;
mod process;
mod runtimes;

pub use key_sets::{KeySet, KeySetState};
pub use readiness::{Configured, Readiness, Status};
pub use standing::Standing;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use metrics::{counter, gauge, with_local_recorder};
use tokio::net::TcpListener;
use tokio::runtime::RuntimeMetrics;
use tokio::sync::watch;

use crate::lifecycle;
use crate::plan::{Plan, UpstreamPlan};
use crate::reload::{Current, Reloads};
use crate::telemetry::dropped;

use self::overview::Overview;
use self::standing::{active, see};

/// What the handlers know.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) current: watch::Receiver<Arc<Current>>,
    pub(crate) state: watch::Receiver<lifecycle::State>,
    pub(crate) runtimes: watch::Receiver<Arc<[RuntimeMetrics]>>,
    pub(crate) started: SystemTime,
    pub(crate) reloads: Reloads,
}

impl Known {
    fn current(&self) -> Arc<Current> {
        self.current.borrow().clone()
    }
}

/// Serves probes and scrapes, and looks in the background at the replicas that are not asked for their health. Once it has `left`, another process does.
///
/// Without a socket nobody asks, so nothing is probed.
pub(crate) async fn serve(known: Known, sockets: Vec<StdListener>, left: watch::Receiver<bool>) {
    let current = known.current();
    if current.plan.config.admin.is_none() {
        return;
    }
    let replaced = known.current.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/health", get(livez))
        .route("/readyz", get(readyz))
        .route("/ready", get(readyz))
        .route("/metrics", get(metrics))
        .merge(looks())
        .merge(changes(&known))
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
    tokio::join!(answer, probe::watch(replaced));
}

/// What there is to see, besides what scrapers and probes ask for.
fn looks() -> Router<Known> {
    Router::new()
        .route("/", get(page::page))
        .route("/status", get(status))
        .route("/config", get(config))
        .layer(from_fn(admit::looks))
}

/// What there is to change. It is asked for by `POST` alone, which no link and no image of a page can.
fn changes(known: &Known) -> Router<Known> {
    Router::new()
        .route("/reload", post(reload::reload))
        .route("/log", post(change::log))
        .route("/upstreams/{upstream}/replicas/{replica}/drain", post(change::drain))
        .route("/upstreams/{upstream}/replicas/{replica}/undrain", post(change::undrain))
        .route("/upstreams/{upstream}/replicas/{replica}/circuit/{state}", post(change::circuit))
        .layer(DefaultBodyLimit::max(LARGEST_CHANGE))
        .route_layer(from_fn_with_state(known.clone(), admit::changes))
}

/// Bytes: a filter of the log is no book.
const LARGEST_CHANGE: usize = 4096;

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

/// All that can be seen of the gateway.
async fn status(State(known): State<Known>) -> impl IntoResponse {
    let state = *known.state.borrow();
    let overview = Overview::new(&known.current(), state, known.started);
    ([(CACHE_CONTROL, "no-store")], Json(overview))
}

/// The file in use, as it is written, but for its secrets.
async fn config(State(known): State<Known>) -> impl IntoResponse {
    let current = known.current();
    let answer = serde_json::json!({
        "generation": current.generation,
        "config": current.plan.written,
    });
    ([(CACHE_CONTROL, "no-store")], Json(answer))
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
    let mut text = present::only(&plan, &plan.recorder.render());
    runtimes::show(&mut text, &known.runtimes.borrow());
    process::show(&mut text, known.started);
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
