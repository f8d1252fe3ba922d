//! A server that names each request, and keeps the names that clients on the same machine give.
use std::{error::Error, net::SocketAddr};

use axum::extract::{ConnectInfo, Extension};
use axum::{Router, routing::get};
use portcullis_request_id::{RequestId, RequestIdLayer, RequestIdPolicy, Trust};
use tokio::net::TcpListener;

fn app() -> Result<Router, Box<dyn Error>> {
    let local = Trust::Networks(vec!["127.0.0.0/8".parse()?, "::1/128".parse()?]);
    let layer = RequestIdLayer::new(RequestIdPolicy::new().trusted(local))
        .peer(|parts| {
            let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.ip())
        })
        .in_span(); // all that handlers log has the id
    Ok(Router::new().route("/", get(name)).layer(layer))
}

async fn name(Extension(id): Extension<RequestId>) -> String {
    format!("you are {id}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app()?.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await?)
}

#[cfg(test)]
#[tokio::test]
async fn a_name_is_kept_from_near_and_replaced_from_afar() {
    use axum::{body::Body, body::to_bytes, http::Request};
    use tower::ServiceExt;

    let app = app().unwrap();
    let get = async |peer: [u8; 4], path: &str, id: &str| {
        let peer = ConnectInfo(SocketAddr::from((peer, 1234)));
        let request = Request::get(path).extension(peer).header("x-request-id", id);
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };

    let near = get([127, 0, 0, 1], "/", "mine").await;
    assert_eq!(near.headers()["x-request-id"], "mine");
    assert_eq!(to_bytes(near.into_body(), 100).await.unwrap(), "you are mine");

    assert_ne!(get([192, 0, 2, 1], "/", "mine").await.headers()["x-request-id"], "mine");
    assert_ne!(get([127, 0, 0, 1], "/", "not mine").await.headers()["x-request-id"], "not mine");
}
