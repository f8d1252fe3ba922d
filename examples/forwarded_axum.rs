//! A server behind a proxy on the same machine, which tells each client its address, but for one.
use std::{error::Error, net::SocketAddr};

use axum::extract::{ConnectInfo, Extension};
use axum::{Router, http::request::Parts, routing::get};
use portcullis_forwarded::{
    Addresses, Client, ForwardedLayer, ForwardedPolicy, LetInLayer, Peer, ViaLayer,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn app() -> Result<Router, Box<dyn Error>> {
    let policy = ForwardedPolicy::new().trusted(["127.0.0.0/8".parse()?, "::1".parse()?]);
    let forwarded = ForwardedLayer::new(policy, |parts: &Parts| {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(Peer::from(peer.0))
    });
    let layers = ServiceBuilder::new()
        .layer(forwarded)
        .layer(ViaLayer::new("example".parse()?))
        .layer(LetInLayer::new(Addresses::all().deny(["192.0.2.66/32".parse()?])));
    Ok(Router::new().route("/", get(address)).layer(layers))
}

async fn address(Extension(client): Extension<Client>) -> String {
    client.address().to_string()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app()?.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await?)
}

#[cfg(test)]
#[tokio::test]
async fn the_proxy_is_believed_and_others_are_not() {
    use axum::{body::Body, body::to_bytes, http::Request};
    use tower::ServiceExt;

    let app = app().unwrap();
    let get = async |peer: [u8; 4], header: (&str, &str)| {
        let peer = ConnectInfo(SocketAddr::from((peer, 1234)));
        let request = Request::get("/").extension(peer).header(header.0, header.1);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, to_bytes(response.into_body(), 100).await.unwrap())
    };
    let (proxy, other) = ([127, 0, 0, 1], [192, 0, 2, 1]);
    let (made_up, denied) = ("203.0.113.1, 192.0.2.7", "192.0.2.66");

    assert_eq!(get(proxy, ("x-forwarded-for", made_up)).await, (200, "192.0.2.7".into()));
    assert_eq!(get(other, ("x-forwarded-for", made_up)).await, (200, "192.0.2.1".into()));
    assert_eq!(get(proxy, ("x-forwarded-for", denied)).await.0, 403);
    assert_eq!(get(proxy, ("via", "1.1 example")).await.0, 508);
}
