//! An application that may trust `x-tenant`, since no client's copy of it survives.
use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue, SERVER};
use axum::routing::get;
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule, Rule};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn app() -> Result<Router, InvalidRule> {
    let policy = HeaderInject::new()
        .request(HeaderRules::new([Rule::set(TENANT, HeaderValue::from_static("acme"))])?)
        .response(HeaderRules::new([Rule::set(SERVER, HeaderValue::from_static("example"))])?);
    Ok(Router::new().route("/", get(tenant)).layer(HeaderInjectLayer::new(policy)?))
}

async fn tenant(headers: HeaderMap) -> String {
    format!("{:?}", headers.get_all(TENANT).iter().collect::<Vec<_>>())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app()?).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_application_sees_its_own_tenant_alone() {
        let forged = Request::get("/").header("x-tenant", "evil").header("x_tenant", "evil");
        let forged = forged.body(Body::empty()).unwrap();

        let response = app().unwrap().oneshot(forged).await.unwrap();

        assert_eq!(response.headers()[SERVER], "example");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"["acme"]"#);
    }
}
