//! A server of hyper's own behind a proxy on the same machine, which tells each client its address.
use std::{convert::Infallible, error::Error, net::SocketAddr};

use http::{Request, Response, request::Parts};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_forwarded::{Client, ForwardedLayer, ForwardedPolicy, Peer};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};

async fn address<B>(request: Request<B>) -> Result<Response<String>, Infallible> {
    let client = request.extensions().get::<Client>();
    Ok(Response::new(client.map(|client| client.address().to_string()).unwrap_or_default()))
}

async fn serve(tcp: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let policy = ForwardedPolicy::new().trusted(["127.0.0.0/8".parse()?, "::1".parse()?]);
    let peer = |parts: &Parts| parts.extensions.get::<SocketAddr>().copied().map(Peer::from);
    let service = ForwardedLayer::new(policy, peer).layer(service_fn(address));
    loop {
        let (stream, peer) = tcp.accept().await?;
        // Whoever accepts a connection knows whom it is from.
        let service = service.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(peer);
            request
        });
        let service = TowerToHyperService::new(service);
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
async fn what_the_proxy_adds_is_believed_and_what_the_client_made_up_is_not() {
    use http_body_util::BodyExt;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", tcp.local_addr().unwrap());
    tokio::spawn(serve(tcp));
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();

    let request = Request::get(uri).header("x-forwarded-for", "203.0.113.1, 192.0.2.7");
    let response = client.request(request.body(String::new()).unwrap()).await.unwrap();

    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "192.0.2.7");
}
