//! How the metadata of a resource are served.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis_jwt_auth::{
    ConfigError, FromBytes, Metadata, MetadataFuture, MetadataLayer, ResourceMetadata,
};
use serde_json::{Value, json};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

fn metadata() -> ResourceMetadata {
    ResourceMetadata::new("https://api.example/mcp").unwrap()
}

/// The status, `content-type`, `content-length`, `allow`, and the body.
async fn ask(method: Method, uri: &str) -> (StatusCode, [String; 3], Bytes) {
    let inner = service_fn(|_: Request<()>| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"inner")));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        ready(Ok::<_, Infallible>(response))
    });
    let service = MetadataLayer::new(&metadata().scopes_supported(["read"])).layer(inner);
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    let headers = ["content-type", "content-length", "allow"].map(|name| header(name).to_owned());
    (response.status(), headers, response.into_body().collect().await.unwrap().to_bytes())
}

const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

#[tokio::test]
async fn whoever_asks_gets_the_document() {
    for uri in [PATH, &format!("{PATH}?a=1"), &format!("https://api.example{PATH}")] {
        let (status, [content_type, length, _], body) = ask(Method::GET, uri).await;

        assert_eq!((status, &*content_type), (StatusCode::OK, "application/json"), "{uri}");
        assert_eq!(length, body.len().to_string(), "{uri}");
        let document: Value = serde_json::from_slice(&body).unwrap();
        let expected =
            json!({ "resource": "https://api.example/mcp", "scopes_supported": ["read"] });
        assert_eq!(document, expected, "{uri}");
    }
}

#[tokio::test]
async fn a_head_is_that_of_the_document() {
    let (_, got, body) = ask(Method::GET, PATH).await;
    let (status, headers, empty) = ask(Method::HEAD, PATH).await;

    assert_eq!((status, headers), (StatusCode::OK, got));
    assert!(empty.is_empty() && !body.is_empty());
}

#[tokio::test]
async fn the_document_can_only_be_read() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let (status, [content_type, _, allow], body) = ask(method.clone(), PATH).await;

        assert_eq!(
            (status, &*allow),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"),
            "{method}"
        );
        assert!(body.is_empty() && content_type.is_empty(), "{method}");
    }
}

// Fetch §3.3.3: a header of a client's own makes its browser ask first.
#[tokio::test]
async fn a_script_of_another_site_may_read_it() {
    let inner = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"inner")))))
    });
    let service = MetadataLayer::new(&metadata()).layer(inner);
    let ask = async |request: http::request::Builder| {
        let request = request.uri(PATH).header("origin", "https://client.example");
        service.clone().oneshot(request.body(()).unwrap()).await.unwrap()
    };

    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version");
    let allowed = ask(preflight).await;
    let document = ask(Request::builder()).await;

    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers()["access-control-allow-methods"], "GET, HEAD, OPTIONS");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "*");
    for response in [allowed, document] {
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
    }
}

#[tokio::test]
async fn all_else_is_left_to_the_inner_service() {
    for uri in [
        "/",
        "/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/openid-configuration",
    ] {
        let (status, _, body) = ask(Method::GET, uri).await;
        assert_eq!((status, &*body), (StatusCode::IM_A_TEAPOT, &b"inner"[..]), "{uri}");
    }
}

// RFC 9728 §3.1.
#[test]
fn the_address_stands_between_the_host_and_the_path() {
    for (resource, url) in [
        ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
        (
            "https://a.example:81/b/c",
            "https://a.example:81/.well-known/oauth-protected-resource/b/c",
        ),
        ("https://a.example/b/", "https://a.example/.well-known/oauth-protected-resource/b/"),
        ("http://localhost:3000", "http://localhost:3000/.well-known/oauth-protected-resource"),
    ] {
        let metadata = ResourceMetadata::new(resource).unwrap();
        assert_eq!(metadata.url(), url);
        assert!(metadata.url().ends_with(&metadata.path()));
    }
    let refused = ResourceMetadata::new("http://api.example").unwrap_err();
    assert_eq!(refused, ConfigError::InvalidResource("http://api.example".to_owned()));
}

#[tokio::test]
async fn a_document_has_what_was_said_and_no_more() {
    let metadata = metadata()
        .authorization_servers(["https://id.example"])
        .scopes_supported(["read", "write"])
        .bearer_methods_supported(["header"])
        .resource_name("a \"name\"")
        .resource_documentation("https://api.example/docs");
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Vec::new()))));
    let layer = MetadataLayer::new(&metadata).answer_with(|bytes: Bytes| bytes.to_vec());
    let request = Request::get(metadata.path()).body(()).unwrap();
    let body = layer.layer(inner).oneshot(request).await.unwrap().into_body();

    let expected = json!({
        "resource": "https://api.example/mcp",
        "authorization_servers": ["https://id.example"],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "a \"name\"",
        "resource_documentation": "https://api.example/docs",
    });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn the_inner_service_is_called_only_when_it_was_readied() {
    let layer = MetadataLayer::new(&metadata());
    let (mut service, mut inner) =
        mock::spawn_layer::<Request<()>, Response<Full<Bytes>>, _>(layer);
    inner.allow(0);
    assert_pending!(service.poll_ready());

    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    let document = service.call(Request::get(PATH).body(()).unwrap()).await.unwrap();
    assert_eq!(document.status(), StatusCode::OK);

    // What was readied was not called, and has to be readied again.
    inner.allow(0);
    assert_pending!(service.poll_ready());
}

#[tokio::test]
async fn an_answer_gives_its_permit_back() {
    let inner = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut waiting = task::spawn(());
    let mut one = MetadataLayer::new(&metadata()).layer(ConcurrencyLimit::new(inner, 1));
    let mut other = one.clone();

    assert_ready_ok!(waiting.enter(|cx, _| one.poll_ready(cx)));
    assert_pending!(waiting.enter(|cx, _| other.poll_ready(cx)));
    one.call(Request::get(PATH).body(()).unwrap()).await.unwrap();
    assert_ready_ok!(waiting.enter(|cx, _| other.poll_ready(cx)));
}

#[cfg(feature = "serde")]
#[test]
fn a_section_is_read() {
    let read =
        |file: &str| toml::from_str::<ResourceMetadata>(file).map_err(|error| error.to_string());

    let file = "resource = 'https://api.example/mcp'";
    assert_eq!(read(file), Ok(metadata()));
    let file = "
        resource = 'https://api.example/mcp'
        authorization_servers = ['https://id.example']
        scopes_supported = ['read', 'write']
        bearer_methods_supported = ['header']
        resource_name = 'Example'
        resource_documentation = 'https://api.example/docs'
    ";
    let whole = metadata()
        .authorization_servers(["https://id.example"])
        .scopes_supported(["read", "write"])
        .bearer_methods_supported(["header"])
        .resource_name("Example")
        .resource_documentation("https://api.example/docs");
    assert_eq!(read(file), Ok(whole));
    for wrong in
        ["", "resource = 'api'", "resource = 7", "resource = 'https://a.example'\nscopes = []"]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    assert!(read("resource = 'api'").unwrap_err().contains("\"api\""));
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(MetadataLayer, Metadata<()>, MetadataFuture<(), ()>, ResourceMetadata, FromBytes)>();
}
