//! A gRPC client of two servers; a call that the first cannot take goes to the second.
use http::{Request, Response};
use portcullis_replica_failover::{
    FailoverPolicy, Order, ReplayBody, Replica, ReplicaFailoverLayer,
};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Error};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

type Health = HealthClient<BoxCloneSyncService<Request<Body>, Response<Body>, Error>>;

fn client(servers: [String; 2]) -> Result<Health, Error> {
    let mut replicas = Vec::new();
    for server in servers {
        let channel: Channel = Endpoint::from_shared(server.clone())?.connect_lazy();
        let channel =
            channel.map_request(|request: Request<ReplayBody<Body>>| request.map(Body::new));
        replicas.push(Replica::new(server, channel));
    }
    // All calls are POST: they go on when there was no connection, but not when they may have run.
    let policy = FailoverPolicy::new().order(Order::LeastRequest);
    let servers = ReplicaFailoverLayer::new(policy).layer(replicas);
    let servers = servers.map_response(|response: Response<_>| response.map(Body::new));
    Ok(HealthClient::new(BoxCloneSyncService::new(servers)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = ["http://127.0.0.1:50051", "http://127.0.0.1:50052"];
    let status = client(servers.map(str::to_owned))?.check(HealthCheckRequest::default()).await?;
    let mut out = std::io::stdout().lock();
    Ok(std::io::Write::write_fmt(&mut out, format_args!("{:?}\n", status.into_inner()))?)
}

#[cfg(test)]
#[tokio::test]
async fn calls_are_answered_while_one_server_is_down() {
    use tonic::transport::server::TcpIncoming;

    let bind = || TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (dead, incoming) = (bind().local_addr().unwrap(), bind());
    let alive = incoming.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    tokio::spawn(server.serve_with_incoming(incoming));

    let mut client = client([dead, alive].map(|address| format!("http://{address}"))).unwrap();
    for _ in 0..20 {
        client.check(HealthCheckRequest::default()).await.unwrap();
    }
}
