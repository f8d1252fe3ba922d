//! A client of hyper's that spares a server which fails.
use std::{error::Error, num::NonZeroU32};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, combinators::BoxBody};
use hyper::body::Body;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy};
use tower::{BoxError, Layer, Service, ServiceExt};

type Ask = Request<Empty<Bytes>>;

fn client() -> impl Service<Ask, Response = Response<impl Body>, Error: Into<BoxError>> + Clone {
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
    let policy = CircuitBreakerPolicy::new().consecutive_failures(THREE);
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A refusal has a body, too: one that can be made of nothing.
    let client = client.map_response(|response: Response<_>| response.map(BoxBody::new));
    CircuitBreakerLayer::new("orders", policy).layer(client)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let request = Request::get("http://127.0.0.1:3000/").body(Empty::new())?;
    let response = client().oneshot(request).await.map_err(Into::into)?;
    if response.status().is_success() { Ok(()) } else { Err(response.status().to_string().into()) }
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_fails_three_times_is_not_asked_a_fourth_time() {
    use axum::{Router, http::StatusCode};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let server = Router::new().fallback(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::BAD_GATEWAY
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server).await });

    let client = client();
    for status in [502, 502, 502, 503, 503] {
        let request = Request::get(&url).body(Empty::new()).unwrap();
        let response = client.clone().oneshot(request).await.map_err(Into::into).unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
