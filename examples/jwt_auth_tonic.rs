//! A tonic server that answers health checks to monitors alone: who has a token whose `role` is `monitor`.

use portcullis_jwt_auth::{Algorithm, ClaimRule, ConfigError, Issuer, JwtAuthLayer, Key, Policy};
use tonic::transport::{Server, server::Router};
use tower::layer::util::{Identity, Stack};

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

fn app() -> Result<Router<Stack<JwtAuthLayer, Identity>>, ConfigError> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]);
    let policy = Policy::new().claims([ClaimRule::equals("role", "monitor")]);
    let auth = JwtAuthLayer::new(policy, [issuer])?;
    let (_, health) = tonic_health::server::health_reporter();
    Ok(Server::builder().layer(auth).add_service(health))
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
        // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = EncodingKey::from_secret(super::SECRET);
        let claims = json!({ "role": role, "exp": 9_999_999_999_u64 });
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let mut request = Request::new(HealthCheckRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    #[tokio::test]
    async fn a_monitor_is_answered_and_nobody_else() {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        tokio::spawn(super::app().unwrap().serve_with_incoming(incoming));
        let mut client =
            HealthClient::new(Endpoint::new(format!("http://{address}")).unwrap().connect_lazy());

        assert!(client.check(check("monitor")).await.is_ok());
        let refused = client.check(check("visitor")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unauthenticated, "a token is required")
        );
    }
}
