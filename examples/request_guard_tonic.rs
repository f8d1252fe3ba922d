//! A gRPC server that takes calls of up to a kibibyte, over all messages of a call.
use portcullis_request_guard::{Policy, RequestGuardLayer};
use tonic::transport::{Error, Server, server::TcpIncoming};

async fn serve(incoming: TcpIncoming) -> Result<(), Error> {
    let (_, health) = tonic_health::server::health_reporter();
    let guard = RequestGuardLayer::new(Policy::ceilings().max_body(1024));
    Server::builder().layer(guard).add_service(health).serve_with_incoming(incoming).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    Ok(serve(incoming).await?)
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic::transport::Endpoint;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn a_call_that_is_too_large_exhausts_a_resource() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming));

        let mut client = HealthClient::new(channel);
        let large = HealthCheckRequest { service: "x".repeat(4096) };
        let status = client.check(large).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "the request body is larger than 1024 bytes");

        assert!(client.check(HealthCheckRequest::default()).await.is_ok());
    }
}
