//! A server that lets its requests finish on Ctrl-C, and names those that took too long.
use std::{io, time::Duration};

use axum::{Router, routing::get};
use portcullis_drain::{DrainLayer, Phase, Report};
use tokio::{net::TcpListener, time::timeout};

fn app(drain: &DrainLayer) -> Router {
    Router::new().route("/", get(|| async { "hello" })).layer(drain.clone())
}

async fn serve(tcp: TcpListener, app: Router, drain: &DrainLayer, signal: impl Future) -> Report {
    let mut phase = drain.handle().subscribe();
    let draining = async move { drop(phase.wait_for(|phase| *phase >= Phase::Draining).await) };
    // Layers each route once; a bare router would do so again for each connection.
    let server = axum::serve(tcp, app.into_make_service()).with_graceful_shutdown(draining);
    let server = tokio::spawn(server.into_future());
    signal.await;
    let report = drain.handle().drain().await;
    if report.cut().is_empty() {
        // The server has the last bytes in hand, and writes them before it ends.
        let _ = timeout(Duration::from_secs(1), server).await;
    }
    report
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let (tcp, drain) = (TcpListener::bind("127.0.0.1:3000").await?, DrainLayer::default());
    match serve(tcp, app(&drain), &drain, tokio::signal::ctrl_c()).await.cut() {
        [] => Ok(()),
        cut => Err(io::Error::other(format!("cut: {cut:?}"))),
    }
}

#[cfg(test)]
#[tokio::test]
async fn a_request_in_flight_at_the_signal_is_served_and_its_connection_closed() {
    use http_body_util::BodyExt;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let (drain, signal) = (DrainLayer::default(), std::sync::Arc::new(tokio::sync::Notify::new()));
    let (signalled, mut phase) = (signal.clone().notified_owned(), drain.handle().subscribe());
    let last = get(async move || {
        signal.notify_one();
        drop(phase.wait_for(|phase| *phase == Phase::Draining).await);
        "last words"
    });
    let app = app(&drain).merge(Router::new().route("/last", last).layer(drain.clone()));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/last", tcp.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move { serve(tcp, app, &drain, signalled).await });

    let client = Client::builder(TokioExecutor::new()).build_http::<axum::body::Body>();
    let response = client.get(uri).await.unwrap();
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "last words");
    assert_eq!(server.await.unwrap().completed(), 1);
}
