//! An application that may trust `x-tenant`: it follows from the host, and no client's copy of it survives.
use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{HOST, HeaderName, HeaderValue, SERVER};
use axum::http::request::Parts;
use axum::routing::get;
use portcullis_header_inject::{
    HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule, Rule, Value,
};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn app() -> Result<Router, InvalidRule> {
    let tenant = Value::from_request(|request: &Parts| {
        let host = request.headers.get(HOST)?.to_str().ok()?;
        HeaderValue::from_str(host.strip_suffix(".app.example")?).ok()
    });
    let policy = HeaderInject::new()
        .request(HeaderRules::new([Rule::set(TENANT, tenant)])?)
        .response(HeaderRules::new([Rule::set(SERVER, HeaderValue::from_static("example"))])?);
    Ok(Router::new().route("/", get(tenants)).layer(HeaderInjectLayer::new(policy)?))
}

async fn tenants(headers: HeaderMap) -> String {
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
    async fn a_tenant_is_known_by_its_address_alone() {
        for (host, tenants) in [("acme.app.example", r#"["acme"]"#), ("app.example", "[]")] {
            let forged = Request::get("/").header("x-tenant", "evil").header("x_tenant", "evil");
            let forged = forged.header("host", host).body(Body::empty()).unwrap();

            let response = app().unwrap().oneshot(forged).await.unwrap();

            assert_eq!(response.headers()[SERVER], "example");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), tenants);
        }
    }
}
