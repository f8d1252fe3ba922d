//! An axum application that greets the subject of a token.
//!
//! `cargo run --example jwt_auth_axum` prints a token to come with.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Extension, Router, routing::get};
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{Algorithm, Claims, ConfigError, Issuer, JwtAuthLayer, Key, Policy};
use serde_json::json;

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

fn app() -> Result<Router, ConfigError> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]).audience(["greeter"]);
    let auth = JwtAuthLayer::new(Policy::new().realm("greeter"), [issuer])?;
    Ok(Router::new().route("/", get(greet)).layer(auth))
}

async fn greet(Extension(claims): Extension<Claims>) -> String {
    format!("hello, {}\n", claims.subject().unwrap_or("stranger"))
}

fn token(subject: &str) -> Result<String, Box<dyn std::error::Error>> {
    // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600;
    let claims = json!({ "sub": subject, "aud": "greeter", "exp": expiry });
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET))?)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the token is for whoever tries this")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("curl -H 'Authorization: Bearer {}' http://127.0.0.1:3000", token("alice")?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app()?).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn the_subject_is_greeted_and_a_stranger_challenged() {
        let bearer = format!("Bearer {}", super::token("alice").unwrap());
        let request = Request::get("/").header("authorization", bearer).body(Body::empty());
        let response = super::app().unwrap().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello, alice\n");

        let response = super::app().unwrap().oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"greeter\"");
    }
}
