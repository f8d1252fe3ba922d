//! Serves objects of a private store to readers without credentials.
use aws_credential_types::Credentials;
use axum::http::{StatusCode, Uri, header::HOST};
use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_sigv4_sign::{InvalidName, Region, ServiceName, SigV4SignLayer, Signing};
use tower::{Layer, ServiceExt};

fn app(store: String, credentials: Credentials) -> Result<Router, InvalidName> {
    let signing = Signing::new(ServiceName::new("s3")?, Region::new("us-east-1")?);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = client.map_response(|response: Response<_>| response.map(Body::new));
    let client = SigV4SignLayer::new(signing, credentials).layer(client);
    let read = |mut request: Request| async move {
        let uri = format!("http://{store}{}", request.uri());
        *request.uri_mut() = Uri::try_from(uri).map_err(|_| StatusCode::BAD_REQUEST)?;
        request.headers_mut().remove(HOST); // it names this gateway
        client.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
    };
    Ok(Router::new().route("/{*key}", get(read)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let credentials = Credentials::from_keys("minioadmin", "minioadmin", None);
    Ok(axum::serve(listener, app("127.0.0.1:9000".to_owned(), credentials)?).await?)
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_gets_the_object_and_the_store_a_signature() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let object = |request: Request| async move {
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=id/"));
            format!("{} at {}", request.uri(), request.headers()[HOST].to_str().unwrap())
        };
        let store = Router::new().fallback(object);
        tokio::spawn(async move { axum::serve(listener, store).await });

        let gateway = app(address.clone(), Credentials::from_keys("id", "secret", None)).unwrap();
        let request = Request::get("/photos/a+b.jpg").header(HOST, "gateway.example");
        let response = gateway.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("/photos/a%2Bb.jpg at {address}"));
    }
}
