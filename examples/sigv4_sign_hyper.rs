//! A client of hyper's that signs what it sends to a store.
use aws_credential_types::Credentials;
use http::{Request, Response};
use http_body_util::{Full, combinators::BoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_sigv4_sign::{InvalidName, Region, ServiceName, SigV4SignLayer, Signing};
use tower::{BoxError, Layer, Service, ServiceExt};

type Body = BoxBody<bytes::Bytes, hyper::Error>;

fn client(
    credentials: Credentials,
) -> Result<
    impl Service<Request<Full<bytes::Bytes>>, Response = Response<Body>, Error: Into<BoxError>>,
    InvalidName,
> {
    let signing = Signing::new(ServiceName::new("s3")?, Region::new("us-east-1")?);
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A refusal has a body, too: one that can be made of nothing.
    let client = client.map_response(|response: Response<_>| response.map(Body::new));
    Ok(SigV4SignLayer::new(signing, credentials).layer(client))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let client = client(Credentials::from_keys("minioadmin", "minioadmin", None))?;
    let request = Request::put("http://127.0.0.1:9000/photos/cat").body(Full::from("meow"))?;
    let response = client.oneshot(request).await.map_err(Into::into)?;
    if response.status().is_success() { Ok(()) } else { Err(response.status().to_string().into()) }
}

#[cfg(test)]
#[tokio::test]
async fn the_store_sees_a_signature_of_the_key_and_the_hash_of_the_object() {
    use axum::{Router, http::HeaderMap};
    use http_body_util::BodyExt;

    let seen = async |seen: HeaderMap, object: String| {
        let signature = seen["authorization"].to_str().unwrap().split_once('/').unwrap().0;
        format!("{signature} {object} {}", seen["x-amz-content-sha256"].to_str().unwrap())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/photos/cat", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(seen)).await });

    let client = client(Credentials::from_keys("id", "secret", None)).unwrap();
    let response = client.oneshot(Request::put(url).body(Full::from("meow")).unwrap()).await;
    let response = response.map_err(Into::into).unwrap();
    let hash = "404cdd7bc109c432f8cc2443b45bcfe95980f5107215c645236e577929ac3e52";
    let expected = format!("AWS4-HMAC-SHA256 Credential=id meow {hash}");
    assert_eq!(response.collect().await.unwrap().to_bytes(), expected);
}
