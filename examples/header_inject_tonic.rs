//! A gRPC server whose answers say which of its instances gave them.
use http::header::{HeaderName, HeaderValue};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule};
use tonic::transport::{Server, server::TcpIncoming};

type Error = Box<dyn std::error::Error + Send + Sync>;

const INSTANCE: HeaderName = HeaderName::from_static("x-instance");

async fn serve(incoming: TcpIncoming, instance: HeaderValue) -> Result<(), Error> {
    let (_, health) = tonic_health::server::health_reporter();
    let rules = HeaderRules::new([Rule::set(INSTANCE, instance)])?;
    let layer = HeaderInjectLayer::new(HeaderInject::new().response(rules))?;
    let server = Server::builder().layer(layer).add_service(health);
    Ok(server.serve_with_incoming(incoming).await?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    serve(incoming, HeaderValue::from_static("a")).await
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn answers_and_failures_say_who_gave_them() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming, HeaderValue::from_static("b")));

        let mut client = HealthClient::new(channel);
        let answer = client.check(HealthCheckRequest::default()).await.unwrap();
        let unknown = HealthCheckRequest { service: "unknown".to_owned() };
        let failure = client.check(unknown).await.unwrap_err();

        assert_eq!(answer.metadata().get("x-instance").unwrap(), "b");
        assert_eq!(failure.metadata().get("x-instance").unwrap(), "b");
    }
}
