//! A gRPC server that answers each tenant once an hour, as the metadata `x-tenant` names them.
use std::error::Error;

use http::header::HeaderName;
use portcullis_rate_limit::{Limit, LimitPolicy, MissingKey, RateLimitLayer, by_header};
use tonic::transport::{Server, server::TcpIncoming};

async fn serve(incoming: TcpIncoming) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (_, health) = tonic_health::server::health_reporter();
    let policy = LimitPolicy::new("1/h".parse()?).missing_key(MissingKey::Refuse);
    let tenant = by_header(HeaderName::from_static("x-tenant"));
    let layer = RateLimitLayer::new([Limit::new("tenant", policy).key(tenant)])?;
    Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming).await?;
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
    async fn a_tenant_that_asks_too_often_exhausts_a_resource_and_learns_when_to_come_again() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let uri = format!("http://{}", incoming.local_addr().unwrap());
        let channel = Endpoint::try_from(uri).unwrap().connect_lazy();
        tokio::spawn(serve(incoming));
        let client = HealthClient::new(channel);
        let check = async |tenant: &'static str| {
            let mut request = Request::new(HealthCheckRequest::default());
            request.metadata_mut().insert("x-tenant", tenant.parse().unwrap());
            client.clone().check(request).await
        };

        assert!(check("a").await.is_ok());
        let status = check("a").await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let wait = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        assert!(wait.to_str().unwrap().parse::<u32>().unwrap() > 3_000_000);

        assert!(check("b").await.is_ok());
        let nobody = client.clone().check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(nobody.code(), Code::InvalidArgument);
    }
}
