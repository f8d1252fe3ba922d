//! A gRPC client that asks its servers for their health, and calls none that does not serve.
use axum::body::Body as AxumBody;
use http::{Request, Response};
use portcullis_replica_failover::{
    FailoverHandle, FailoverPolicy, GrpcProbe, HealthCheck, Probe, ReplayBody, Replica,
    ReplicaFailoverLayer,
};
use tonic::body::Body;
use tonic::transport::{Endpoint, Error};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

type Client = HealthClient<BoxCloneSyncService<Request<Body>, Response<Body>, Error>>;

fn client(servers: [String; 2], check: HealthCheck) -> Result<(Client, FailoverHandle), Error> {
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new()).health_check(check);
    let channel = |it: &str| Ok::<_, Error>(Endpoint::from_shared(it.to_owned())?.connect_lazy());
    let mut replicas = Vec::new();
    for server in servers {
        let calls =
            channel(&server)?.map_request(|it: Request<ReplayBody<Body>>| it.map(Body::new));
        let checks = channel(&server)?.map_request(|it: Request<AxumBody>| it.map(Body::new));
        replicas.push(Replica::new(server, calls).probed_by(checks));
    }
    let servers = layer.layer(replicas).map_response(|it: Response<_>| it.map(Body::new));
    tokio::spawn(layer.health_checker());
    Ok((HealthClient::new(BoxCloneSyncService::new(servers)), layer.handle()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = ["http://127.0.0.1:50051", "http://127.0.0.1:50052"].map(str::to_owned);
    let check = HealthCheck::new(Probe::Grpc(GrpcProbe::new()));
    Ok(client(servers, check)?.0.check(HealthCheckRequest::default()).await.map(drop)?)
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_says_so_is_called_no_more() {
    use portcullis_replica_failover::{CheckFailure::NotServing, Health};
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
    let ms = std::time::Duration::from_millis;
    let check = HealthCheck::new(Probe::Grpc(GrpcProbe::new())).timing(ms(1000), ms(10), ms(500));
    let (mut client, handle) = client(names, check.unwrap()).unwrap();
    while handle.snapshot().iter().any(|one| one.health() == Health::Unchecked) {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.snapshot()[0].check_failure(), Some(&NotServing));
    assert_eq!(client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status, 1);
}
