use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::plan::UpstreamPlan;
use crate::replicas::ReplicaPlan;
use crate::telemetry;

use super::Known;

/// Takes a circuit in hand, or gives it back.
pub(super) async fn circuit(
    State(known): State<Known>,
    Path((upstream, replica, state)): Path<(String, String, String)>,
) -> Response {
    with_replica(&known, &upstream, &replica, |_, found| {
        let circuit = found.breaker.handle();
        match &*state {
            "open" => circuit.force_open(),
            "closed" => circuit.force_closed(),
            "auto" => circuit.reset(),
            other => {
                let problem =
                    format!("a circuit is set to open, closed or auto, and not to {other:?}");
                return refused(StatusCode::NOT_FOUND, &problem);
            }
        }
        applied(json!({ "circuit": circuit.state().name() }))
    })
}

/// Sends a replica nothing any more; what it has in hand it finishes.
pub(super) async fn drain(
    State(known): State<Known>,
    Path((upstream, replica)): Path<(String, String)>,
) -> Response {
    with_replica(&known, &upstream, &replica, |plan, found| enable(plan, found, false))
}

/// Lets a replica have requests again.
pub(super) async fn undrain(
    State(known): State<Known>,
    Path((upstream, replica)): Path<(String, String)>,
) -> Response {
    with_replica(&known, &upstream, &replica, |plan, found| enable(plan, found, true))
}

fn enable(upstream: &UpstreamPlan, replica: &ReplicaPlan, enabled: bool) -> Response {
    // Workers have all that is planned from their beginning on.
    if upstream.failover.handle().set_enabled(&replica.target.name(), enabled) {
        applied(json!({ "drained": !enabled }))
    } else {
        refused(StatusCode::CONFLICT, "no worker serves it yet")
    }
}

/// What of the log is written from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    level: String,
}

/// Changes the level of the log, until the process ends or somebody changes it again.
pub(super) async fn log(Json(Level { level }): Json<Level>) -> Response {
    match telemetry::set_level(&level) {
        Ok(()) => applied(json!({ "level": level })),
        Err(error @ telemetry::NotSet::Unreadable(_)) => {
            refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
        }
        Err(error) => refused(StatusCode::CONFLICT, &error.to_string()),
    }
}

fn with_replica(
    known: &Known,
    upstream: &str,
    replica: &str,
    change: impl FnOnce(&UpstreamPlan, &ReplicaPlan) -> Response,
) -> Response {
    let plan = known.current().plan.clone();
    let found = plan.upstreams.get(upstream).and_then(|upstream| {
        let replicas = upstream.replicas.current();
        let found = replicas.iter().find(|one| *one.target.name() == *replica);
        found.map(|found| (upstream, found.clone()))
    });
    match found {
        Some((upstream, found)) => change(upstream, &found),
        None => {
            let problem = format!("upstream {upstream:?} has no replica {replica:?}, or is none");
            refused(StatusCode::NOT_FOUND, &problem)
        }
    }
}

fn applied(mut what: Value) -> Response {
    if let Some(what) = what.as_object_mut() {
        what.insert("outcome".to_owned(), json!("applied"));
    }
    ([(CACHE_CONTROL, "no-store")], Json(what)).into_response()
}

fn refused(status: StatusCode, problem: &str) -> Response {
    let what = json!({ "outcome": "refused", "problems": [problem] });
    (status, [(CACHE_CONTROL, "no-store")], Json(what)).into_response()
}
