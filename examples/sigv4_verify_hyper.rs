//! A server of hyper's own that takes objects from S3 clients, each of which has a key of its own.
use std::error::Error;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_sigv4_sign::{FixedKeys, PlainBody, SecretKey, ServiceName};
use portcullis_sigv4_sign::{SigV4VerifyLayer, Verified, Verifying};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, service_fn};

async fn write(request: Request<PlainBody<Incoming>>) -> Result<Response<String>, BoxError> {
    let client =
        request.extensions().get::<Verified>().map(|client| client.access_key_id().to_owned());
    let object = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(format!("{} wrote {} bytes", client.unwrap_or_default(), object.len())))
}

async fn serve(tcp: TcpListener) -> Result<(), BoxError> {
    let keys = ["alice", "bob"].map(|id| (id, SecretKey::new(format!("secret of {id}"))));
    let verifying = Verifying::new(ServiceName::new("s3")?);
    let service = SigV4VerifyLayer::new(verifying, FixedKeys::new(keys)).layer(service_fn(write));
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
async fn who_has_a_key_may_write() {
    use portcullis_sigv4_sign::{Region, SigV4SignLayer, Signing};
    use tower::ServiceExt;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/photos/cat", tcp.local_addr().unwrap());
    tokio::spawn(serve(tcp));
    for (id, status) in [("alice", 200), ("bob", 403)] {
        let key = aws_credential_types::Credentials::from_keys(id, "secret of alice", None);
        let region = Region::new("eu-west-1").unwrap();
        let signing = Signing::new(ServiceName::new("s3").unwrap(), region);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let client = client.map_response(|response| response.map(BodyExt::boxed));
        let request = Request::put(&url).body(http_body_util::Full::from("meow")).unwrap();
        let response = SigV4SignLayer::new(signing, key).layer(client).oneshot(request).await;
        assert_eq!(response.unwrap().status(), status);
    }
}
