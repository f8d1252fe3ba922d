//! A gRPC server that names each call, in the metadata of its answer, too.
use portcullis_request_id::{Format, RequestIdLayer, RequestIdPolicy};
use tonic::transport::{Error, Server, server::TcpIncoming};

async fn serve(incoming: TcpIncoming) -> Result<(), Error> {
    let (_, health) = tonic_health::server::health_reporter();
    let layer = RequestIdLayer::new(RequestIdPolicy::new().format(Format::Ulid));
    Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    Ok(serve(incoming).await?)
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn answers_have_the_id_whether_they_are_good_or_not() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming));
        let mut client = HealthClient::new(channel);

        let good = client.check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(good.metadata().get("x-request-id").unwrap().len(), 26);

        let unknown = HealthCheckRequest { service: "nobody's".to_owned() };
        let status = client.check(unknown).await.unwrap_err();
        assert_eq!(status.metadata().get("x-request-id").unwrap().len(), 26);
    }
}
