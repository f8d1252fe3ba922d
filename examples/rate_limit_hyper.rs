//! A server of hyper's own that answers twice a minute, without a framework.
use std::{convert::Infallible, error::Error};

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use portcullis_rate_limit::{Limit, Quota, RateLimitLayer};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

async fn hello<B>(_: Request<B>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".into()))
}

async fn serve(tcp: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    // One layer, so that all connections share the limit.
    let service =
        RateLimitLayer::new([Limit::new("all", "2/m".parse::<Quota>()?)])?.layer(service_fn(hello));
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
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve(TcpListener::bind("127.0.0.1:3000").await?).await
}

#[cfg(test)]
#[tokio::test]
async fn the_third_request_is_refused_whatever_connection_it_comes_by() {
    use hyper_util::client::legacy::Client;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: http::Uri = format!("http://{}/", tcp.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(serve(tcp));
    for status in [200, 200, 429] {
        let client = Client::builder(TokioExecutor::new()).build_http::<String>();
        assert_eq!(client.get(uri.clone()).await.unwrap().status(), status);
    }
}
