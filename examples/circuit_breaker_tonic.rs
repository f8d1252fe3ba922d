//! A gRPC client that gives a server that is down a rest. Run it beside any server of `grpc.health.v1`.
use std::num::NonZeroU32;

use portcullis_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerPolicy};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;

fn client(channel: Channel) -> HealthClient<CircuitBreaker<Channel>> {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    let policy = CircuitBreakerPolicy::new().consecutive_failures(TWO);
    HealthClient::new(CircuitBreakerLayer::new("health", policy).layer(channel))
}

async fn check(client: &mut HealthClient<CircuitBreaker<Channel>>) -> Result<(), Status> {
    client.check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::main]
async fn main() -> Result<(), Status> {
    let channel = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
    let mut client = client(channel);
    for _ in 0..9 {
        let _ = check(&mut client).await; // the third is not sent, if the first two failed
    }
    check(&mut client).await
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_is_down_is_asked_twice_and_then_left_alone() {
    use tonic::Code;

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
