//! A gRPC client that asks its servers for their health, and calls none that does not serve.
use http::{Request, Response};
use portcullis_replica_failover::{
    FailoverHandle, FailoverPolicy, GrpcProbe, HealthCheck, Probe, ReplayBody, Replica,
    ReplicaFailoverLayer,
};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Error};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

type Client = HealthClient<BoxCloneSyncService<Request<Body>, Response<Body>, Error>>;

fn client(servers: [String; 2], check: HealthCheck) -> Result<(Client, FailoverHandle), Error> {
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new()).health_check(check);
    let channel = |server: &str| Ok(Endpoint::from_shared(server.to_owned())?.connect_lazy());
    let mut replicas = Vec::new();
    for server in servers {
        let calls: Channel = channel(&server)?;
        let calls = calls.map_request(|request: Request<ReplayBody<Body>>| request.map(Body::new));
        let checks: Channel = channel(&server)?; // with connections of their own
        let checks =
            checks.map_request(|request: Request<axum::body::Body>| request.map(Body::new));
        replicas.push(Replica::new(server, calls).probed_by(checks));
    }
    let servers =
        layer.layer(replicas).map_response(|response: Response<_>| response.map(Body::new));
    tokio::spawn(layer.health_checker());
    Ok((HealthClient::new(BoxCloneSyncService::new(servers)), layer.handle()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = ["http://127.0.0.1:50051", "http://127.0.0.1:50052"].map(str::to_owned);
    let check = HealthCheck::new(Probe::Grpc(GrpcProbe::new()));
    client(servers, check)?.0.check(HealthCheckRequest::default()).await?;
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_says_so_is_called_no_more() {
    use portcullis_replica_failover::{CheckFailure::NotServing, Health};
    use std::time::Duration;
    use tonic::transport::{Server, server::TcpIncoming};
    use tonic_health::ServingStatus as Status;

    let bind = || TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let servers = [bind(), bind()];
    let names = servers.each_ref().map(|one| format!("http://{}", one.local_addr().unwrap()));
    for (incoming, status) in servers.into_iter().zip([Status::NotServing, Status::Serving]) {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", status).await;
        tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    }
    let check = HealthCheck::new(Probe::Grpc(GrpcProbe::new()));
    let fast = Duration::from_millis(10);
    let (mut client, handle) =
        client(names, check.timing(100 * fast, fast, 50 * fast).unwrap()).unwrap();
    while handle.snapshot().iter().any(|one| one.health() == Health::Unchecked) {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.snapshot()[0].check_failure(), Some(&NotServing));
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status, 1); // of the second, which serves
}
