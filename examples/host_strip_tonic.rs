//! A gRPC server that hears of no header of the connection but `te`, is called by one host, and remembers by which.
use portcullis_host_strip::{ClientHost, ClientHostLayer, HopByHop, HopByHopLayer, OriginalHost};
use tonic::transport::{Error, Server, server::TcpIncoming};
use tonic::{Request, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

async fn serve(incoming: TcpIncoming, host: &'static str) -> Result<(), Error> {
    let health = HealthService::from_health_reporter(HealthReporter::new());
    let health = HealthServer::with_interceptor(health, move |request| answers_to(host, request));
    let server = Server::builder()
        .layer(ClientHostLayer::new(ClientHost::default()).remember())
        .layer(HopByHopLayer::new(HopByHop::default()))
        .add_service(health);
    server.serve_with_incoming(incoming).await
}

fn answers_to(host: &str, request: Request<()>) -> Result<Request<()>, Status> {
    match request.extensions().get::<OriginalHost>() {
        Some(original) if original.authority().host() == host => Ok(request),
        _ => Err(Status::not_found("no such host here")),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    Ok(serve(incoming, "127.0.0.1").await?)
}

#[cfg(test)]
mod tests {
    use tonic::{Code, transport::Endpoint};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn the_server_answers_to_its_own_name_alone() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let endpoint = Endpoint::try_from(uri).unwrap();
        tokio::spawn(serve(incoming, "127.0.0.1"));

        let mut client = HealthClient::new(endpoint.connect_lazy());
        client.check(HealthCheckRequest::default()).await.unwrap();
        let mut two = Request::new(HealthCheckRequest::default());
        two.metadata_mut().insert("host", "elsewhere".parse().unwrap());
        assert_eq!(client.check(two).await.unwrap_err().code(), Code::Internal);

        let elsewhere = endpoint.origin("http://elsewhere/".parse().unwrap());
        let mut client = HealthClient::new(elsewhere.connect_lazy());
        let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
}
