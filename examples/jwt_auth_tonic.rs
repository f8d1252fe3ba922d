//! A tonic server that answers health checks to monitors alone: who has a token whose `role` is `monitor`.

use portcullis_jwt_auth::{Algorithm, Claims, ConfigError, Issuer, JwtAuthLayer, Key, Policy};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Server, server::Router};
use tonic::{Request, Status};
use tower::layer::util::{Identity, Stack};

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

fn app() -> Result<Router<Stack<JwtAuthLayer, Identity>>, ConfigError> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]);
    let auth = JwtAuthLayer::new(Policy::new(), [issuer])?;
    let (_, health) = tonic_health::server::health_reporter();
    Ok(Server::builder().layer(auth).add_service(InterceptedService::new(health, monitors)))
}

/// What a service finds in the extensions of a request. A rule of the policy could decide this, too.
fn monitors(request: Request<()>) -> Result<Request<()>, Status> {
    let role = request.extensions().get::<Claims>().and_then(|claims| claims.get("role"));
    let known = role.is_some_and(|role| role == "monitor");
    known.then_some(request).ok_or_else(|| Status::permission_denied("for monitors"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(app()?.serve("127.0.0.1:50051".parse()?).await?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;
    use tonic::transport::{Endpoint, server::TcpIncoming};
    use tonic::{Code, Request};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    fn check(role: &str) -> Request<HealthCheckRequest> {
        // It does not choose by itself where another crate brings the other backend along.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let (claims, key) = (json!({ "role": role, "exp": u32::MAX }), super::SECRET);
        let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(key)).unwrap();
        let mut request = Request::new(HealthCheckRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    #[tokio::test]
    async fn a_monitor_is_answered_and_nobody_else() {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        tokio::spawn(super::app().unwrap().serve_with_incoming(incoming));
        let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect_lazy());
        assert!(client.check(check("monitor")).await.is_ok());
        let refused = client.check(check("visitor")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}
