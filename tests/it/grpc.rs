//! Calls of gRPC, by a client and a server of tonic.

use std::net::SocketAddr;

use portcullis_tests::{InProcess, gateway, plan};
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

/// A health service, where it is, and what it reports.
fn health() -> (HealthReporter, SocketAddr, JoinHandle<()>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = incoming.local_addr().unwrap();
    let serve = Server::builder().add_service(service).serve_with_incoming(incoming);
    (reporter, address, tokio::spawn(async { serve.await.unwrap() }))
}

async fn through(to: SocketAddr) -> (InProcess, HealthClient<Channel>) {
    let gateway = gateway(&format!(
        "upstream.a = {{ http_version = '2', replica = [{{ name = 'a', url = 'http://{to}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ));
    let endpoint = Endpoint::from_shared(format!("http://{}", gateway.address())).unwrap();
    let client = HealthClient::new(endpoint.connect().await.unwrap());
    (gateway, client)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_call_is_answered_with_its_status_in_the_trailers() {
    let (_reporter, address, _server) = health();
    let (_gateway, mut client) = through(address).await;

    let answer = client.check(of("")).await.unwrap();
    let unknown = client.check(of("unknown")).await.unwrap_err();

    assert_eq!(answer.into_inner().status, ServingStatus::Serving as i32);
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(unknown.message(), "service not registered");
}

#[tokio::test]
async fn each_message_of_a_stream_comes_when_it_is_sent() {
    let (reporter, address, _server) = health();
    reporter.set_service_status("a", ServingStatus::NotServing).await;
    let (_gateway, mut client) = through(address).await;

    let mut watch = client.watch(of("a")).await.unwrap().into_inner();
    let mut told = vec![watch.message().await.unwrap().unwrap().status];
    for status in [ServingStatus::Serving, ServingStatus::NotServing] {
        reporter.set_service_status("a", status).await;
        told.push(watch.message().await.unwrap().unwrap().status);
    }

    let [down, up] = [ServingStatus::NotServing as i32, ServingStatus::Serving as i32];
    assert_eq!(told, [down, up, down]);
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let (_reporter, address, server) = health();
    server.abort();
    drop(server.await);
    let (_gateway, mut client) = through(address).await;

    let error = client.check(Request::new(of(""))).await.unwrap_err();

    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn a_version_that_there_is_not_is_refused() {
    let config = "listener = [{ address = '127.0.0.1:0' }]
         upstream.a = { http_version = '3', replica = [{ name = 'a', url = 'http://127.0.0.1:1' }] }
         route = [{ path = '/', upstream = 'a' }]";

    let refused = plan(config).unwrap_err();

    assert!(refused.contains("http_version") && refused.contains("`auto`"), "{refused}");
}
