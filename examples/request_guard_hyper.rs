//! A server of hyper's own that takes uploads of up to a kibibyte, chunked ones too.
use std::{error::Error, io};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_request_guard::{GuardedBody, Policy, RequestGuardLayer};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, service_fn};

async fn store(file: Request<GuardedBody<Incoming>>) -> Result<Response<String>, BoxError> {
    let file = file.into_body().collect().await?.to_bytes();
    Ok(Response::new(format!("{} bytes", file.len())))
}

async fn serve(tcp: TcpListener) -> io::Result<()> {
    let policy = Policy::ceilings().max_body(1024).methods([Method::PUT]);
    let service = RequestGuardLayer::new(policy).layer(service_fn(store));
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
async fn main() -> Result<(), Box<dyn Error>> {
    Ok(serve(TcpListener::bind("127.0.0.1:3000").await?).await?)
}

#[cfg(test)]
#[tokio::test]
async fn an_upload_is_too_large_whether_it_says_so_or_not() {
    use hyper_util::client::legacy::Client;

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", tcp.local_addr().unwrap());
    tokio::spawn(serve(tcp));
    let sized = |size: usize| "a".repeat(size).boxed();
    let chunked = |size: usize| "a".repeat(size).map_frame(|frame| frame).boxed();
    let at_most = [(sized(1024), 200), (chunked(1024), 200)];
    for (body, status) in at_most.into_iter().chain([(sized(1025), 413), (chunked(1025), 413)]) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(Request::put(&url).body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
    }
}
