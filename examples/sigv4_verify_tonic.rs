//! Answers health checks to callers that sign them, over TLS: their messages stream and go unsigned.
use portcullis_sigv4_sign::{
    FixedKeys, InvalidName, PlainBody, SecretKey, ServiceName, SigV4Verify, SigV4VerifyLayer,
    Verifying,
};
use tonic::{body::Body, service::Routes, transport::Server};
use tower::{Layer, ServiceExt, util::MapRequest};

type Plain = fn(http::Request<PlainBody<Body>>) -> http::Request<Body>;

fn app() -> Result<SigV4Verify<MapRequest<Routes, Plain>>, InvalidName> {
    let (_, health) = tonic_health::server::health_reporter();
    let verifying = Verifying::new(ServiceName::new("health")?).refuse_presigned();
    let keys = FixedKeys::new([("monitor", SecretKey::new("secret of the monitor"))]);
    let plain: Plain = |request| request.map(Body::new);
    Ok(SigV4VerifyLayer::new(verifying, keys).layer(Routes::new(health).map_request(plain)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let routes = axum::Router::new()
        .fallback_service(app()?.map_request(|it: http::Request<_>| it.map(Body::new)));
    let server = Server::builder().add_routes(Routes::from(routes));
    Ok(server.serve(([127, 0, 0, 1], 50051).into()).await?)
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use http::Uri;
    use portcullis_sigv4_sign::{Payload, Region, SigV4SignLayer, Signing};
    use tonic::{Code, Status};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    async fn check(secret: &str) -> Result<(), Status> {
        let signing =
            Signing::new(ServiceName::new("health").unwrap(), Region::new("eu-west-1").unwrap());
        let signing = signing.payload(Payload::Unsigned).unsigned_over_http();
        let app = app().unwrap().map_request(|it: http::Request<_>| it.map(Body::new));
        let signed = SigV4SignLayer::new(signing, Credentials::from_keys("monitor", secret, None))
            .layer(app);
        let mut client = HealthClient::with_origin(signed, Uri::from_static("http://health"));
        client.check(HealthCheckRequest::default()).await.map(drop)
    }

    #[tokio::test]
    async fn a_monitor_is_answered_and_nobody_else() {
        assert!(check("secret of the monitor").await.is_ok());
        assert_eq!(check("a guess").await.unwrap_err().code(), Code::PermissionDenied);
    }
}
