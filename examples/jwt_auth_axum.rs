//! An axum application that greets whom a token is about.

use axum::{Router, extract::FromRequestParts, routing::get};
use http::{StatusCode, request::Parts};
use portcullis_jwt_auth::{Algorithm, Claims, ConfigError, Issuer, JwtAuthLayer, Key, Policy};

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

fn app() -> Result<Router, ConfigError> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]).audience(["greeter"]);
    Ok(Router::new().route("/", get(greet)).layer(JwtAuthLayer::new(Policy::new(), [issuer])?))
}

/// What the application wants of a token's claims. A handler that asks for it gets it.
#[derive(serde::Deserialize)]
struct User {
    sub: String,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let claims = parts.extensions.get::<Claims>().ok_or(StatusCode::UNAUTHORIZED)?;
        claims.read().map_err(|_| StatusCode::FORBIDDEN)
    }
}

async fn greet(user: User) -> String {
    format!("hello, {}\n", user.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app()?).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use tower::ServiceExt;

    #[tokio::test]
    async fn the_subject_is_greeted_and_a_stranger_is_not() {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let claims = serde_json::json!({ "sub": "alice", "aud": "greeter", "exp": u32::MAX });
        let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(super::SECRET));
        let request =
            Request::get("/").header("authorization", format!("Bearer {}", token.unwrap()));
        let app = super::app().unwrap();
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello, alice\n");
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}
