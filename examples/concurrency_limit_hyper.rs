//! A server of hyper's own that tells the time to two listeners, and sends others away until one of them has left.
use std::{convert::Infallible, io, num::NonZeroU32, time::Duration};

use async_stream::stream;
use http::{Request, Response};
use http_body_util::{StreamBody, combinators::UnsyncBoxBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy};
use tokio::{net::TcpListener, time::interval};
use tower::{Layer, service_fn};

type Body = UnsyncBoxBody<bytes::Bytes, Infallible>;

async fn ticks<B>(_: Request<B>) -> Result<Response<Body>, Infallible> {
    let mut seconds = interval(Duration::from_secs(1));
    let ticks = stream! {
        loop {
            seconds.tick().await;
            yield Ok(hyper::body::Frame::data("data: tick\n\n".into()));
        }
    };
    Ok(Response::new(Body::new(StreamBody::new(ticks))))
}

async fn serve(tcp: TcpListener) -> io::Result<()> {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    let layer = ConcurrencyLimitLayer::new("ticks", ConcurrencyPolicy::fixed(TWO));
    let service = layer.layer(service_fn(ticks)); // one, so that all connections share the limit
    loop {
        let (stream, _) = tcp.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let protocol = auto::Builder::new(TokioExecutor::new());
            protocol.serve_connection(TokioIo::new(stream), service).await
        });
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    serve(TcpListener::bind("127.0.0.1:3000").await?).await
}

#[cfg(test)]
#[tokio::test]
async fn the_third_listener_is_sent_away_while_two_listen() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: http::Uri = format!("http://{}/", tcp.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(serve(tcp));
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    let client = client.build_http::<String>();
    let (one, two) =
        (client.get(uri.clone()).await.unwrap(), client.get(uri.clone()).await.unwrap());
    assert_eq!([one.status(), two.status()], [200, 200]);
    assert_eq!(client.get(uri).await.unwrap().status(), 503);
}
