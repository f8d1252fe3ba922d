//! A server that spares a handler's failing upstream, and shows its circuit.
use std::{io, num::NonZeroU32};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy};
use tokio::net::TcpListener;

/// Stands for a handler that asks an upstream: `GET /orders/503` fails as that does.
async fn orders(Path(status): Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND)
}

fn app() -> Router {
    const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
    let policy = CircuitBreakerPolicy::new().consecutive_failures(FIVE);
    let layer = CircuitBreakerLayer::new("orders", policy);
    let circuit = layer.handle();

    Router::new()
        .route("/orders/{status}", get(orders))
        .layer(layer) // only around what asks the upstream
        .route("/circuit", get(async move || circuit.state().name()))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app()).await
}

#[cfg(test)]
#[tokio::test]
async fn after_five_failures_in_a_row_nobody_is_asked() {
    use axum::{body::Body, body::to_bytes, http::Request};
    use portcullis_circuit_breaker::Open;
    use tower::ServiceExt;

    let app = app();
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    for status in [200, 404, 503, 503, 503, 503, 503] {
        assert_eq!(get(&format!("/orders/{status}")).await.status(), status);
    }

    let refused = get("/orders/200").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.extensions().get::<Open>().is_some());
    let state = to_bytes(get("/circuit").await.into_body(), 100).await.unwrap();
    assert_eq!(state, "open");
}
