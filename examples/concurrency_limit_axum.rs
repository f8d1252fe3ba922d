//! A server that sends two reports at once, lets two more wait for a second, and refuses the rest.
use std::{error::Error, num::NonZeroU32, time::Duration};

use axum::{Router, routing::get};
use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy, Queue};
use tokio::net::TcpListener;

fn app() -> Result<Router, Box<dyn Error>> {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    let queue = Queue::new(TWO, Duration::from_secs(1))?;
    let layer = ConcurrencyLimitLayer::new("reports", ConcurrencyPolicy::fixed(TWO).queue(queue));
    let reports = layer.handle();

    Ok(Router::new()
        .route("/report", get("a long report"))
        .layer(layer) // only around what is long
        .route("/load", get(async move || format!("{:?}", reports.under_way()))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    Ok(axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app()?).await?)
}

#[cfg(test)]
#[tokio::test]
async fn a_report_counts_until_it_has_been_read() {
    use axum::{body::Body, body::to_bytes, http::Request};
    use tower::ServiceExt;

    let app = app().unwrap();
    let get = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let load = async || to_bytes(get("/load").await.unwrap().into_body(), 100).await.unwrap();

    let read = get("/report").await.unwrap();
    let unread = get("/report").await.unwrap();
    assert_eq!(load().await, "Some(2)");

    to_bytes(read.into_body(), 100).await.unwrap();
    assert_eq!(load().await, "Some(1)");

    let other = get("/report").await.unwrap();
    let late = get("/report").await.unwrap();
    assert_eq!(late.status(), 503);
    assert!(late.headers().contains_key("retry-after"));
    drop((unread, other));
}
