//! A reverse proxy of hyper's own parts for 127.0.0.1:8080, which sees its own name and nothing of the client's connection.
use std::{error::Error, io};

use http::{Request, Response, Uri, uri::Authority};
use http_body_util::combinators::BoxBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{client::legacy::Client, server::conn::auto, service::TowerToHyperService};
use portcullis_host_strip::{HopByHop, HopByHopLayer, HostPolicy, HostStripLayer};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

async fn serve(tcp: TcpListener, upstream: Authority) -> io::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A refusal has a body, too: one that can be made of nothing.
    let client = client.map_response(|response: Response<_>| response.map(BoxBody::new));
    let named = HostStripLayer::new(HostPolicy::FromUri).layer(client);
    let sent = named.map_request(move |mut request: Request<_>| {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = Uri::try_from(format!("http://{upstream}{path}")).unwrap_or_default();
        request
    });
    let proxy = HopByHopLayer::new(HopByHop::default()).layer(sent);
    loop {
        let (stream, _) = tcp.accept().await?;
        let service = TowerToHyperService::new(proxy.clone());
        tokio::spawn(async move {
            let protocol = auto::Builder::new(TokioExecutor::new());
            protocol.serve_connection(TokioIo::new(stream), service).await
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    Ok(serve(TcpListener::bind("127.0.0.1:3000").await?, "127.0.0.1:8080".parse()?).await?)
}

#[cfg(test)]
#[tokio::test]
async fn the_upstream_sees_its_own_name_and_no_header_of_the_connection() {
    use axum::{Router, http::HeaderMap};
    use http_body_util::BodyExt;

    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (upstream, proxy) = (bind().await, bind().await);
    let address = upstream.local_addr().unwrap().to_string();
    let url = format!("http://{}/", proxy.local_addr().unwrap());
    let seen = async |seen: HeaderMap| format!("{:?} of {}", seen["host"], seen.len());
    tokio::spawn(async move { axum::serve(upstream, Router::new().fallback(seen)).await });
    tokio::spawn(serve(proxy, address.parse().unwrap()));

    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url).header("connection", "x-mine").header("x-mine", "1");
    let response = client.request(request.body(String::new()).unwrap()).await.unwrap();
    let body = response.collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("{address:?} of 1"));
}
