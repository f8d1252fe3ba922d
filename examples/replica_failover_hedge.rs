//! A gRPC server that passes calls on to two others; to the second, too, when the first takes long and the client allows it.
use std::time::Duration;

use axum::{Router, body::Body as AxumBody, extract::Request, http::HeaderName, http::StatusCode};
use portcullis_replica_failover::{
    FailoverPolicy, Hedge, ReplayBody, Replica, ReplicaFailoverLayer,
};
use tonic::transport::{Endpoint, Error, Server};
use tonic::{body::Body, service::Routes};
use tower::{Layer, ServiceExt};

fn proxy(servers: [String; 2]) -> Result<Routes, Error> {
    let mut replicas = Vec::new();
    for server in servers {
        let channel = Endpoint::from_shared(server.clone())?.connect_lazy();
        let calls = channel.map_request(|it: Request<ReplayBody<AxumBody>>| it.map(Body::new));
        replicas.push(Replica::new(server, calls));
    }
    // All calls are POST: only those that say they may run twice are sent to a second server.
    let policy = FailoverPolicy::new()
        .hedge(Hedge::after(Duration::from_millis(20)))
        .idempotency_key(HeaderName::from_static("x-idempotent"));
    let servers = ReplicaFailoverLayer::new(policy).layer(replicas);
    Ok(Router::new()
        .fallback(async move |request: Request| {
            servers.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
        })
        .into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proxy = proxy(["http://127.0.0.1:50051", "http://127.0.0.1:50052"].map(str::to_owned))?;
    Ok(Server::builder().add_routes(proxy).serve(([127, 0, 0, 1], 50050).into()).await?)
}

#[cfg(test)]
#[tokio::test]
async fn a_call_that_may_run_twice_does_not_wait_for_a_server_that_hangs() {
    use tonic::transport::server::TcpIncoming;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // and nobody accepts
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addresses = [hanging.local_addr().unwrap(), incoming.local_addr().unwrap()];
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    let proxy = proxy(addresses.map(|address| format!("http://{address}"))).unwrap();

    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("x-idempotent", "1".parse().unwrap());
    let response = HealthClient::new(proxy).check(request).await.unwrap();
    assert_eq!(response.into_inner().status, 1);
}
