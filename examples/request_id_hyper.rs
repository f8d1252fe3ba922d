//! A server of hyper's own that names each request, and keeps the names that clients on the same machine give.
use std::{convert::Infallible, error::Error, net::SocketAddr};

use http::{Request, Response, request::Parts};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_request_id::{RequestId, RequestIdLayer, RequestIdPolicy, Trust};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};

async fn name<B>(request: Request<B>) -> Result<Response<String>, Infallible> {
    let id = request.extensions().get::<RequestId>();
    Ok(Response::new(id.map(|id| format!("you are {id}")).unwrap_or_default()))
}

async fn serve(tcp: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let local = Trust::Networks(vec!["127.0.0.0/8".parse()?, "::1/128".parse()?]);
    let peer = |parts: &Parts| parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
    let layer = RequestIdLayer::new(RequestIdPolicy::new().trusted(local)).peer(peer);
    let service = layer.layer(service_fn(name));
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
async fn a_name_is_kept_if_it_is_one_and_replaced_otherwise() {
    use http_body_util::BodyExt;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", tcp.local_addr().unwrap());
    tokio::spawn(serve(tcp));
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
    for (sent, kept) in [("mine", true), ("not mine", false)] {
        let request = Request::get(&url).header("x-request-id", sent).body(String::new()).unwrap();
        let response = client.request(request).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == sent, kept);
        assert_eq!(response.collect().await.unwrap().to_bytes(), format!("you are {id}"));
    }
}
