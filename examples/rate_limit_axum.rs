//! A server that answers each client twice a minute, and all of them a hundred times a second.
use std::{error::Error, net::SocketAddr};

use axum::{Router, extract::ConnectInfo, routing::get};
use portcullis_rate_limit::{Limit, Quota, RateLimitLayer, by_address};
use tokio::net::TcpListener;

fn app() -> Result<Router, Box<dyn Error>> {
    let all: Quota = "100/s".parse()?;
    let each: Quota = "2/m".parse()?;
    let client = by_address(|parts| {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.ip()) // behind proxies this is theirs: see `forwarded_axum`
    });
    let limits = [Limit::new("all", all), Limit::new("client", each).key(client)];
    let limits = limits.map(|limit| limit.exempt(|parts| parts.uri.path() == "/health"));
    let layer = RateLimitLayer::new(limits)?;

    Ok(Router::new().route("/", get("hello")).route("/health", get("well")).layer(layer))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app()?.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await?)
}

#[cfg(test)]
#[tokio::test]
async fn the_third_request_of_a_client_is_refused_and_another_client_is_not() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    let app = app().unwrap();
    let get = async |path: &str, client: [u8; 4]| {
        let peer = ConnectInfo(SocketAddr::from((client, 1234)));
        let request = Request::get(path).extension(peer).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };

    for _ in 0..2 {
        assert_eq!(get("/", [192, 0, 2, 1]).await.status(), 200);
    }
    let refused = get("/", [192, 0, 2, 1]).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["ratelimit-policy"], r#""all";q=100;w=1, "client";q=2;w=60"#);

    assert_eq!(get("/", [192, 0, 2, 2]).await.status(), 200);
    assert_eq!(get("/health", [192, 0, 2, 1]).await.status(), 200);
}
