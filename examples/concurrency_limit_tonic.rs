//! A gRPC server with a place for one call of each peer, streams included.
use std::num::{NonZeroU32, NonZeroUsize};

use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy};
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tonic::transport::{Error, Server};

async fn serve(incoming: TcpIncoming) -> Result<(), Error> {
    let (_, health) = tonic_health::server::health_reporter();
    let most = const { NonZeroUsize::new(10_000).unwrap() };
    let policy = ConcurrencyPolicy::fixed(NonZeroU32::MIN).keys(most);
    let layer = ConcurrencyLimitLayer::per_key("peers", policy, |parts| {
        let peer = parts.extensions.get::<TcpConnectInfo>()?;
        peer.remote_addr().map(|address| address.ip())
    });
    Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 50051).into())?;
    Ok(serve(incoming).await?)
}

#[cfg(test)]
mod tests {
    use tonic::{Code, transport::Endpoint};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn a_stream_that_goes_on_keeps_its_place() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming));
        let mut client = HealthClient::new(channel);
        let request = HealthCheckRequest::default;

        let mut stream = client.watch(request()).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        let status = client.check(request()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);

        drop(stream);
        while client.check(request()).await.is_err() {} // until the server has heard of it
    }
}
