//! An axum application whose clients learn from it where to get a token (RFC 9728), as those of MCP servers expect.

use axum::{Router, routing::get};
use portcullis_jwt_auth::{
    Algorithm, ConfigError, Issuer, JwtAuthLayer, Key, MetadataLayer, Policy, ResourceMetadata,
};
use tower::ServiceBuilder;

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

fn app() -> Result<Router, ConfigError> {
    let metadata = ResourceMetadata::new("http://127.0.0.1:3000/mcp")?
        .authorization_servers(["https://id.example"])
        .scopes_supported(["read"]);
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]);
    let policy = Policy::new().scopes(["read"]).resource_metadata(metadata.url());
    // The document stands in front: it is for those who have no token.
    let layers = ServiceBuilder::new()
        .layer(MetadataLayer::new(&metadata))
        .layer(JwtAuthLayer::new(policy, [issuer])?);
    // Layers of a router see only what it has routes for, and it has none for the document.
    let app = Router::new().route("/mcp", get(async || "tools\n"));
    Ok(Router::new().fallback_service(layers.service(app)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
    async fn who_is_refused_finds_the_document() {
        let request = Request::get("/mcp").body(Body::empty()).unwrap();
        let response = super::app().unwrap().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        let (_, url) = challenge.split_once("resource_metadata=\"").unwrap();

        let request = Request::get(url.trim_end_matches('"')).body(Body::empty()).unwrap();
        let response = super::app().unwrap().oneshot(request).await.unwrap();
        let document = response.into_body().collect().await.unwrap().to_bytes();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["authorization_servers"][0], "https://id.example");
    }
}
