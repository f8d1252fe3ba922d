//! An accept loop of one's own that lets its requests finish on Ctrl-C, over HTTP/1 and HTTP/2.
use std::{convert::Infallible, io, time::Duration};

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::{conn::auto, graceful::GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use portcullis_drain::{DrainLayer, Phase, Report};
use tokio::{net::TcpListener, time::timeout};
use tower::{Layer, service_fn};

async fn hello<B>(_: Request<B>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".into()))
}

async fn serve<F>(tcp: TcpListener, drain: DrainLayer, signal: F) -> io::Result<Report>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (service, handle) = (drain.layer(service_fn(hello)), drain.handle());
    let (connections, mut phase) = (GracefulShutdown::new(), handle.subscribe());
    let drained = tokio::spawn(async move { (signal.await, handle.drain().await).1 });
    loop {
        let (stream, _) = tokio::select! {
            Ok(accepted) = tcp.accept() => accepted,
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => break,
        };
        let service = TowerToHyperService::new(service.clone());
        let protocol = auto::Builder::new(TokioExecutor::new());
        let connection = protocol.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::spawn(connections.watch(connection));
    }
    let closed = tokio::spawn(connections.shutdown()); // a goodbye in the words of each protocol
    let report = drained.await?;
    let _ = timeout(Duration::from_secs(1), closed).await;
    Ok(report)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let tcp = TcpListener::bind("127.0.0.1:3000").await?;
    let report = serve(tcp, DrainLayer::default(), tokio::signal::ctrl_c()).await?;
    if report.cut().is_empty() { Ok(()) } else { Err(io::Error::other(format!("{report:?}"))) }
}

#[cfg(test)]
#[tokio::test]
async fn who_is_connected_at_the_signal_is_let_go_and_the_server_ends() {
    use hyper_util::client::legacy::Client;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", tcp.local_addr().unwrap()).parse::<http::Uri>().unwrap();
    let (signal, signalled) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(serve(tcp, DrainLayer::default(), signalled));
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    assert_eq!(client.get(uri.clone()).await.unwrap().status(), 200);
    signal.send(()).unwrap();
    assert!(server.await.unwrap().unwrap().cut().is_empty());
    assert!(client.get(uri).await.is_err(), "nobody is there any more");
}
