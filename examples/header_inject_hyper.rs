//! A client of hyper's that shows its key, whatever its callers would show.
use std::error::Error;

use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule};
use portcullis_header_inject::{Rule, Value};
use tower::{BoxError, Layer, Service, ServiceExt};

type Body = BoxBody<bytes::Bytes, hyper::Error>;

fn client(
    key: HeaderValue,
) -> Result<
    impl Service<Request<String>, Response = Response<Body>, Error: Into<BoxError>>,
    InvalidRule,
> {
    let bearer = Value::from(key).prefixed(HeaderValue::from_static("Bearer ")).secret();
    let key = Rule::set(AUTHORIZATION, bearer).allow_protected();
    let rules = HeaderRules::new([key, Rule::remove(COOKIE)])?;
    let layer = HeaderInjectLayer::new(HeaderInject::new().request(rules))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A refusal has a body, too: one that can be made of nothing.
    Ok(layer.layer(client.map_response(|response: Response<_>| response.map(Body::new))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let request = Request::get("http://127.0.0.1:3000/").body(String::new())?;
    let client = client(HeaderValue::from_static("a key"))?;
    let response = client.oneshot(request).await.map_err(Into::into)?;
    if response.status().is_success() { Ok(()) } else { Err(response.status().to_string().into()) }
}

#[cfg(test)]
#[tokio::test]
async fn the_server_sees_the_key_and_nothing_of_the_caller() {
    use axum::{Router, http::HeaderMap};
    use http_body_util::BodyExt;

    let seen = async |seen: HeaderMap| {
        format!(
            "{:?} {:?}",
            seen.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(),
            seen.get(COOKIE)
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(seen)).await });

    let request = Request::get(url).header(AUTHORIZATION, "Basic mine").header(COOKIE, "a=b");
    let client = client(HeaderValue::from_static("the key")).unwrap();
    let response = client.oneshot(request.body(String::new()).unwrap()).await;
    let response = response.map_err(Into::into).unwrap();
    assert_eq!(response.collect().await.unwrap().to_bytes(), r#"["Bearer the key"] None"#);
}
