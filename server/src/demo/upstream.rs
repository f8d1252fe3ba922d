use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::extract::Request;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use tokio::time::interval;

use super::Server;

/// `/echo` says what it was asked; `/events` counts the seconds for ever.
pub(super) async fn start() -> io::Result<Server> {
    let router = Router::new().route("/echo", any(echo)).route("/events", get(events));
    Server::start(|listener| async move {
        // It ends with the demo.
        let _ = axum::serve(listener, router).await;
    })
    .await
}

async fn echo(request: Request) -> Json<serde_json::Value> {
    let (parts, body) = request.into_parts();
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    let body = Limited::new(body, 1 << 20).collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    Json(serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn events() -> Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(async_stream::stream! {
        let mut every = interval(Duration::from_secs(1));
        for number in 0_u64.. {
            every.tick().await;
            yield Ok(Event::default().event("tick").data(number.to_string()));
        }
    })
}
