//! A stream of events that would go on for ever, and ends by itself on Ctrl-C instead of being cut off.
use std::{convert::Infallible, io, time::Duration};

use async_stream::stream;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, body::Body, routing::get};
use portcullis_drain::{DrainLayer, DrainSignal, Phase, Report};
use tokio::{net::TcpListener, time::sleep, time::timeout};

async fn events(Extension(signal): Extension<DrainSignal>) -> Response {
    let ticks = stream! {
        loop {
            yield Ok::<_, Infallible>(Event::default().data("tick"));
            sleep(Duration::from_secs(1)).await;
        }
    };
    Sse::new(ticks).into_response().map(|body| Body::new(signal.end_on_drain(body)))
}

async fn serve(tcp: TcpListener, drain: DrainLayer, signal: impl Future) -> Report {
    let drain = drain.signal_handlers();
    let (handle, mut phase) = (drain.handle(), drain.handle().subscribe());
    let app = Router::new().route("/events", get(events)).layer(drain);
    let draining = async move { drop(phase.wait_for(|phase| *phase >= Phase::Draining).await) };
    let server = axum::serve(tcp, app.into_make_service()).with_graceful_shutdown(draining);
    let server = tokio::spawn(server.into_future());
    signal.await;
    let report = handle.drain().await;
    // The server has the last bytes in hand, and writes them before it ends.
    let _ = timeout(Duration::from_secs(1), server).await;
    report
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let tcp = TcpListener::bind("127.0.0.1:3000").await?;
    let report = serve(tcp, DrainLayer::default(), tokio::signal::ctrl_c()).await;
    if report.cut().is_empty() { Ok(()) } else { Err(io::Error::other(format!("{report:?}"))) }
}

#[cfg(test)]
#[tokio::test]
async fn a_client_sees_its_stream_end_well_and_nothing_is_cut() {
    use http_body_util::BodyExt;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/events", tcp.local_addr().unwrap()).parse().unwrap();
    let (signal, signalled) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(serve(tcp, DrainLayer::default(), signalled));
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut events = client.get(uri).await.unwrap().into_body();
    events.frame().await.unwrap().unwrap();
    signal.send(()).unwrap();
    events.collect().await.unwrap(); // an end that was cut off would be an error
    let report = server.await.unwrap();
    assert_eq!((report.completed(), report.cut().len()), (1, 0));
}
