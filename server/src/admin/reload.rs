use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::reload::NotReloaded;

use super::Known;

/// Reads the file again, and answers when all workers serve by it.
pub(super) async fn reload(State(known): State<Known>) -> Response {
    let answered = known.reloads.ask().await;
    let generation = known.current().generation;
    let (status, outcome, problems) = match &answered {
        Ok(_) => (StatusCode::OK, "applied", Vec::new()),
        Err(NotReloaded::Rejected(found)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "rejected", found.to_vec())
        }
        Err(other) => (StatusCode::CONFLICT, "refused", vec![other.to_string()]),
    };
    let generation = answered.unwrap_or(generation);
    (status, [(CACHE_CONTROL, "no-store")], Json(Answer { outcome, generation, problems }))
        .into_response()
}

#[derive(Debug, Serialize)]
struct Answer {
    outcome: &'static str,
    /// Of the configuration in use.
    generation: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}
