//! A server behind five layers, outermost first: each sees what those before it let through.
use std::{error::Error, num::NonZeroU32};

use axum::{Router, routing::post};
use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy};
use portcullis_drain::{DrainHandle, DrainLayer};
use portcullis_rate_limit::{Limit, Quota, RateLimitLayer};
use portcullis_request_guard::{Policy, RequestGuardLayer};
use portcullis_request_id::RequestIdLayer;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn app() -> Result<(Router, DrainHandle), Box<dyn Error>> {
    const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();
    let drain = DrainLayer::default();
    let handle = drain.handle();
    let layers = ServiceBuilder::new()
        .layer(RequestIdLayer::default()) // names refusals, too
        .layer(drain) // counts all that is in flight
        .layer(RequestGuardLayer::new(Policy::ceilings().max_body(1024))) // costs nothing to ask
        .layer(RateLimitLayer::new([Limit::new("all", "3/m".parse::<Quota>()?)])?) // what is too large uses none of it up
        .layer(ConcurrencyLimitLayer::new("app", ConcurrencyPolicy::fixed(TEN))); // a place for who may have one
    Ok((Router::new().route("/", post(async |body: String| body)).layer(layers), handle))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (app, drain) = app()?;
    let drained = tokio::spawn(async move {
        let signalled = tokio::signal::ctrl_c().await;
        (signalled, drain.drain().await)
    });
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).with_graceful_shutdown(async { drop(drained.await) }).await?;
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn what_is_too_large_uses_up_no_limit_and_every_answer_has_a_name() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    let (app, drain) = app().unwrap();
    for (size, status) in [(2000, 413), (9, 200), (9, 200), (2000, 413), (9, 200), (9, 429)] {
        let request = Request::post("/").body(Body::from("a".repeat(size))).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key("x-request-id"));
    }
    assert_eq!(drain.in_flight(), 0);
}
