//! A reverse proxy for 127.0.0.1:8080, which sees its own name and nothing of the client's connection.
use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::HeaderName;
use axum::http::uri::{Authority, Scheme, Uri};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use portcullis_host_strip::{HopByHop, HopByHopLayer, HostPolicy, HostStripLayer};
use tower::{Layer, ServiceExt};

fn app(upstream: Authority) -> Router {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let client = client.map_response(|response| response.map(Body::new));
    let host = HostStripLayer::new(HostPolicy::FromUri)
        .preserve_as(HeaderName::from_static("x-forwarded-host"));
    let named = host.layer(client).map_request(move |mut request: Request| {
        let mut target = request.uri().clone().into_parts();
        (target.scheme, target.authority) = (Some(Scheme::HTTP), Some(upstream.clone()));
        // A target that takes no authority is left without one, for which the layer below refuses it.
        *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
        request
    });
    let proxy = HandleError::new(named, async |_| StatusCode::BAD_GATEWAY);
    Router::new().fallback_service(proxy).layer(HopByHopLayer::new(HopByHop::default()))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(Authority::from_static("127.0.0.1:8080"))).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_upstream_sees_its_own_name_and_no_header_of_the_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = async |seen: HeaderMap| {
            format!("{:?} for {:?} of {}", seen["host"], seen["x-forwarded-host"], seen.len())
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(seen)).await });

        let request = Request::get("/").header("host", "client").header("te", "gzip");
        let request = request.header("connection", "x-mine").header("x-mine", "1");
        let request = request.body(Body::empty()).unwrap();
        let response = app(address.parse().unwrap()).oneshot(request).await.unwrap();

        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!(r#""{address}" for "client" of 2"#));
    }
}
