//! A gRPC server for clients of one network, whether they come by the proxy on the same machine or not.
use std::error::Error;

use http::request::Parts;
use portcullis_forwarded::{Addresses, ForwardedLayer, ForwardedPolicy, LetInLayer, Peer};
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};

async fn serve(incoming: TcpIncoming) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (_, health) = tonic_health::server::health_reporter();
    let policy = ForwardedPolicy::new().trusted(["127.0.0.0/8".parse()?, "::1".parse()?]);
    let forwarded = ForwardedLayer::new(policy, |parts: &Parts| {
        let peer = parts.extensions.get::<TcpConnectInfo>()?.remote_addr()?;
        Some(Peer::from(peer))
    });
    let let_in = LetInLayer::new(Addresses::all().allow(["192.0.2.0/24".parse()?]));
    Server::builder()
        .layer(forwarded)
        .layer(let_in)
        .add_service(health)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve(TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?).await
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Request, transport::Endpoint};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn who_is_of_another_network_has_no_permission() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming));
        let check = async |client: &'static str| {
            let mut request = Request::new(HealthCheckRequest::default());
            request.metadata_mut().insert("x-forwarded-for", client.parse().unwrap());
            HealthClient::new(channel.clone()).check(request).await
        };

        assert!(check("192.0.2.7").await.is_ok());
        assert_eq!(check("203.0.113.1").await.unwrap_err().code(), Code::PermissionDenied);
        let made_up = check("192.0.2.7, 203.0.113.1").await.unwrap_err();
        assert_eq!(made_up.code(), Code::PermissionDenied);
    }
}
