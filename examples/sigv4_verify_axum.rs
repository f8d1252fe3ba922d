//! Takes objects from S3 clients, each of which has a key of its own.
use axum::{Extension, Router, body::Body, body::Bytes, extract::Path, extract::Request, routing};
use portcullis_sigv4_sign::{
    FixedKeys, InvalidName, SecretKey, ServiceName, SigV4VerifyLayer, Verified, Verifying,
};
use tower::ServiceBuilder;

fn app() -> Result<Router, InvalidName> {
    let keys = ["alice", "bob"].map(|id| (id, SecretKey::new(format!("secret of {id}"))));
    let verifying = Verifying::new(ServiceName::new("s3")?);
    let verify = ServiceBuilder::new()
        .layer(SigV4VerifyLayer::new(verifying, FixedKeys::new(keys)))
        .map_request(|request: Request<_>| request.map(Body::new));
    Ok(Router::new().route("/{*key}", routing::put(write)).layer(verify))
}

async fn write(client: Extension<Verified>, Path(key): Path<String>, object: Bytes) -> String {
    format!("{} wrote {} bytes to {key}", client.access_key_id(), object.len())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app()?).await?)
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use http_body_util::BodyExt;
    use portcullis_sigv4_sign::{Region, SigV4SignLayer, Signing};
    use tower::{Layer, ServiceExt};

    use super::*;

    async fn put(id: &str, secret: &str) -> (u16, Bytes) {
        let region = Region::new("eu-west-1").unwrap();
        let signing = Signing::new(ServiceName::new("s3").unwrap(), region);
        let app = app().unwrap().map_request(|request: Request<_>| request.map(Body::new));
        let client = SigV4SignLayer::new(signing, Credentials::from_keys(id, secret, None));
        let request = Request::put("http://store/photos/cat").body(Body::from("meow")).unwrap();

        let response = client.layer(app).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn who_has_a_key_may_write() {
        let written = "alice wrote 4 bytes to photos/cat".into();
        assert_eq!(put("alice", "secret of alice").await, (200, written));
        assert_eq!(put("bob", "secret of alice").await, (403, "".into()));
    }
}
