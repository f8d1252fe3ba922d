//! A client of hyper's with two servers; what the first cannot take goes to the second.
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_replica_failover::{ReplayBody, Replica, ReplicaFailoverLayer};
use tower::{BoxError, Layer, ServiceExt};

async fn post(servers: [String; 2], path: &str, body: &'static str) -> Result<Bytes, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    // A refusal has a body, too: one that can be made of nothing.
    let client = client.map_response(|response: Response<_>| response.map(BoxBody::new));
    let replicas = servers.map(|server| {
        let name = server.clone();
        let to_server = move |mut request: Request<ReplayBody<Full<Bytes>>>| {
            let uri = format!("http://{server}{}", request.uri());
            *request.uri_mut() = Uri::try_from(uri).unwrap_or_default();
            request
        };
        Replica::new(name, client.clone().map_request(to_server))
    });
    // Without a connection, a server has seen nothing: then a POST goes on, too.
    let client = ReplicaFailoverLayer::default().layer(replicas.into());
    let response = client.oneshot(Request::post(path).body(Full::from(body))?).await?;
    Ok(response.into_body().collect().await.map_err(BoxError::from)?.to_bytes())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let servers = ["127.0.0.1:3000", "127.0.0.1:3001"].map(str::to_owned);
    let answer = post(servers, "/orders", "one of each").await?;
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &answer)?)
}

#[cfg(test)]
#[tokio::test]
async fn an_order_at_a_dead_server_is_taken_by_the_other_one() {
    let bind = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dead, listener) = (bind().await.local_addr().unwrap(), bind().await);
    let alive = listener.local_addr().unwrap();
    let server = axum::Router::new().fallback(async |order: String| format!("took {order}"));
    tokio::spawn(async move { axum::serve(listener, server).await });

    let answer = post([dead, alive].map(|address| address.to_string()), "/", "two of each").await;

    assert_eq!(answer.unwrap(), "took two of each");
}
