//! A gRPC server that lets its calls finish on Ctrl-C, and names those that took too long.
use std::{io, time::Duration};

use portcullis_drain::{DrainLayer, Phase, Report};
use tokio::time::timeout;
use tonic::transport::{Server, server::TcpIncoming};

async fn serve(incoming: TcpIncoming, drain: DrainLayer, signal: impl Future) -> Report {
    let (_, health) = tonic_health::server::health_reporter();
    let (handle, mut phase) = (drain.handle(), drain.handle().subscribe());
    let draining = async move { drop(phase.wait_for(|phase| *phase >= Phase::Draining).await) };
    let server = Server::builder().layer(drain).add_service(health);
    let server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, draining));

    signal.await;
    let report = handle.drain().await;
    if report.cut().is_empty() {
        // The server has the last bytes in hand, and writes them before it ends.
        let _ = timeout(Duration::from_secs(1), server).await;
    }
    report
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    match serve(incoming, DrainLayer::default(), tokio::signal::ctrl_c()).await.cut() {
        [] => Ok(()),
        cut => Err(io::Error::other(format!("cut: {cut:?}"))),
    }
}

#[cfg(test)]
#[tokio::test]
async fn a_call_that_never_ends_is_named_when_the_shutdown_is_forced() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let (drain, (signal, signalled)) = (DrainLayer::default(), tokio::sync::oneshot::channel());
    let handle = drain.handle();
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let uri = format!("http://{}", incoming.local_addr().unwrap());
    let server = tokio::spawn(serve(incoming, drain, signalled));

    let channel = tonic::transport::Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await.unwrap();
    let watch = client.watch(HealthCheckRequest::default()).await.unwrap();
    watch.into_inner().message().await.unwrap();
    handle.force();
    signal.send(()).unwrap();

    let report = server.await.unwrap();
    assert_eq!(report.cut().len(), 1);
    assert_eq!(report.cut()[0].path(), "/grpc.health.v1.Health/Watch");
}
