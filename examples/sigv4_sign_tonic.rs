//! Passes gRPC calls on to a server that takes signed ones alone.
use aws_credential_types::Credentials;
use axum::{Router, extract::Request};
use http::{StatusCode, Uri, header::HOST};
use portcullis_sigv4_sign::{Payload, Region, ServiceName, SigV4SignLayer, SignedBody, Signing};
use tonic::{body::Body, service::Routes, transport};
use tower::{Layer, ServiceExt};

type Error = Box<dyn std::error::Error + Send + Sync>;

fn relay(upstream: &'static str, credentials: Credentials) -> Result<Routes, Error> {
    let signing = Signing::new(ServiceName::new("vpc-lattice-svcs")?, Region::new("eu-west-1")?);
    let signing = signing.payload(Payload::Unsigned).unsigned_over_http(); // to the same machine
    let channel = transport::Endpoint::from_static(upstream).connect_lazy();
    let body = |request: http::Request<SignedBody<_>>| request.map(Body::new);
    let channel = SigV4SignLayer::new(signing, credentials).layer(channel.map_request(body));
    let pass_on = move |mut request: Request| async move {
        let uri = format!("{upstream}{}", request.uri().path());
        *request.uri_mut() = Uri::try_from(uri).map_err(|_| StatusCode::BAD_REQUEST)?;
        request.headers_mut().remove(HOST); // it names this server
        channel.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
    };
    Ok(Routes::from(Router::new().fallback(pass_on)))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let routes = relay("http://127.0.0.1:50052", Credentials::from_keys("id", "secret", None))?;
    let server = transport::Server::builder().add_routes(routes);
    Ok(server.serve(([127, 0, 0, 1], 50051).into()).await?)
}

#[cfg(test)]
mod tests {
    use tonic::service::LayerExt;
    use tonic::transport::server::TcpIncoming;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn a_call_arrives_signed() {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let upstream = format!("http://{}", incoming.local_addr().unwrap()).leak();
        let (_, health) = tonic_health::server::health_reporter();
        let signed = tower::util::MapRequestLayer::new(|request: http::Request<Body>| {
            let authorization = request.headers()["authorization"].to_str().unwrap();
            assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=id/"));
            request
        });
        let server = transport::Server::builder().add_service(signed.named_layer(health));
        tokio::spawn(server.serve_with_incoming(incoming));

        let routes = relay(upstream, Credentials::from_keys("id", "secret", None)).unwrap();
        let mut client = HealthClient::with_origin(routes, Uri::from_static("http://relay"));
        client.check(HealthCheckRequest::default()).await.unwrap();
    }
}
