//! A gRPC server that can refuse all calls by hand, and a client that gives one that is down a rest.
use std::num::NonZeroU32;

use portcullis_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerPolicy};
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, layer::util::Identity, layer::util::Stack};

fn server(layer: CircuitBreakerLayer) -> Router<Stack<CircuitBreakerLayer, Identity>> {
    let (_, health) = tonic_health::server::health_reporter();
    Server::builder().layer(layer).add_service(health)
}

fn client(channel: Channel) -> HealthClient<CircuitBreaker<Channel>> {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    let policy = CircuitBreakerPolicy::new().consecutive_failures(TWO);
    HealthClient::new(CircuitBreakerLayer::new("health", policy).layer(channel))
}

async fn check(client: &mut HealthClient<CircuitBreaker<Channel>>) -> Result<(), Status> {
    client.check(HealthCheckRequest::default()).await.map(drop)
}

async fn refused(open: bool) -> Result<Option<Status>, Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
    let uri = format!("http://{}", incoming.local_addr()?);
    let layer = CircuitBreakerLayer::new("calls", CircuitBreakerPolicy::new());
    if open {
        layer.handle().force_open();
    }
    tokio::spawn(server(layer).serve_with_incoming(incoming));
    Ok(check(&mut client(Endpoint::from_shared(uri)?.connect_lazy())).await.err())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    refused(true).await?.filter(|status| status.code() == Code::Unavailable).ok_or("not open")?;
    Ok(refused(false).await?.map_or(Ok(()), Err)?)
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_is_down_is_asked_twice_and_then_left_alone() {
    assert_eq!(refused(true).await.unwrap().unwrap().message(), "not well");
    assert!(refused(false).await.unwrap().is_none());

    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", tcp.local_addr().unwrap());
    drop(tcp); // nobody listens there now
    let mut client = client(Endpoint::from_shared(uri).unwrap().connect_lazy());
    for refused in [false, false, true, true] {
        let status = check(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message() == "not well", refused, "{status}");
    }
}
