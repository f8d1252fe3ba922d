//! For whom, with what, and by what path a request may be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::task::Poll;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use portcullis_refusal::Refused;
use portcullis_request_guard::{
    Flaw, GuardedBody, HostPattern, MediaRange, Paths, Policy, RequestGuardLayer, TooLarge,
    Treatment, Unfit,
};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower_test::mock;

type Guarded = Request<GuardedBody<Full<Bytes>>>;

/// What becomes of `request`: the URI that the inner service sees, or the refusal.
fn judge(policy: Policy, request: Request<&'static str>) -> Result<String, Response<()>> {
    let layer = RequestGuardLayer::new(policy);
    let (mut service, mut upstream) = mock::spawn_layer::<Guarded, Response<()>, _>(layer);
    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(request.map(Full::from)));
    let mut next = spawn(upstream.next_request());
    if let Poll::Ready(refusal) = response.poll() {
        assert_pending!(next.poll());
        return Err(refusal.unwrap());
    }
    let (seen, _) = assert_ready!(next.poll()).unwrap();
    Ok(seen.uri().to_string())
}

fn unfit(policy: Policy, request: Request<&'static str>) -> Option<Unfit> {
    judge(policy, request).err().map(|refusal| refusal.extensions().get::<Unfit>().unwrap().clone())
}

fn get(uri: &str) -> Request<&'static str> {
    Request::get(uri).body("").unwrap()
}

fn with(headers: &[(&'static str, &'static str)], body: &'static str) -> Request<&'static str> {
    let mut request = Request::post("/").body(body).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    request
}

fn hosts(hosts: &[&str]) -> Policy {
    Policy::new().hosts(hosts.iter().map(|host| host.parse::<HostPattern>().unwrap()))
}

fn types(types: &[&str]) -> Policy {
    Policy::new().content_types(types.iter().map(|range| range.parse::<MediaRange>().unwrap()))
}

#[test]
fn a_method_that_is_not_allowed_is_told_which_are() {
    let policy = || Policy::new().methods([Method::GET, Method::HEAD]);
    let request = Request::delete("/").body("").unwrap();
    let refusal = judge(policy(), request).unwrap_err();

    assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refusal.headers()[ALLOW], "GET, HEAD");
    assert_eq!(refusal.extensions().get::<Refused>().unwrap().reason(), "method");
    assert!(judge(policy(), get("/")).is_ok());
    let lower = Request::builder().method("get").body("").unwrap();
    assert_eq!(unfit(policy(), lower), Some(Unfit::Method));
    assert_eq!(
        unfit(Policy::new().methods([Method::GET]), Request::head("/").body("").unwrap()),
        Some(Unfit::Method)
    );
}

#[test]
fn a_header_that_is_missing_is_named() {
    let version = HeaderName::from_static("x-api-version");
    let policy = || Policy::new().headers([HeaderName::from_static("x-a"), version.clone()]);
    let refusal = judge(policy(), with(&[("x-a", "")], "")).unwrap_err();

    assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refusal.extensions().get(), Some(&Unfit::MissingHeader(version.clone())));
    let refused = refusal.extensions().get::<Refused>().unwrap();
    assert_eq!(refused.detail(), "the header `x-api-version` is missing");
    assert!(judge(policy(), with(&[("x-a", "1"), ("x-api-version", "2")], "")).is_ok());
}

#[test]
fn a_body_is_of_an_allowed_type_or_refused_with_those_that_are() {
    let policy = || types(&["application/json", "image/*", "application/*+json"]);
    for sent in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "image/png",
        "application/problem+json",
    ] {
        let request = Request::post("/").header("content-type", sent).body("{}").unwrap();
        assert!(judge(policy(), request).is_ok(), "{sent}");
    }
    for sent in [
        "text/plain",
        "application/jsonx",
        "application/xml",
        "json",
        "image/",
        "image/png/x",
        "",
        "a b/json",
        "+json",
    ] {
        let request = Request::post("/").header("content-type", sent).body("{}").unwrap();
        let refusal = judge(policy(), request).unwrap_err();

        assert_eq!(refusal.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{sent}");
        assert_eq!(refusal.headers()[ACCEPT], "application/json, image/*, application/*+json");
    }
}

#[test]
fn a_body_of_no_type_or_of_two_is_of_none_that_is_allowed() {
    let json = ("content-type", "application/json");
    for policy in [types(&["application/json"]), types(&["*/*"])] {
        assert_eq!(unfit(policy.clone(), with(&[], "{}")), Some(Unfit::ContentType));
        assert_eq!(unfit(policy.clone(), with(&[json, json], "{}")), Some(Unfit::ContentType));
        assert!(judge(policy, with(&[], "")).is_ok());
    }
    assert!(judge(types(&["*/*"]), with(&[("content-type", "a/b")], "{}")).is_ok());
}

#[test]
fn a_request_for_another_host_is_misdirected() {
    let policy = || hosts(&["example.com", "*.example.org", "10.0.0.1", "[::1]"]);
    for host in [
        "example.com",
        "EXAMPLE.com:8080",
        "example.com.",
        "a.example.org",
        "a.b.Example.org:1",
        "10.0.0.1:80",
        "[::1]:80",
        "[::1]",
    ] {
        assert!(judge(policy(), with_host(host)).is_ok(), "{host}");
    }
    for host in [
        "",
        "example.org",
        "evilexample.org",
        ".example.org",
        "example.com.evil.test",
        "example.com@evil.test",
        "evil.test:example.com",
        "::1",
        "10.0.0.10",
    ] {
        let refusal = judge(policy(), with_host(host)).unwrap_err();

        assert_eq!(refusal.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert_eq!(refusal.extensions().get::<Refused>().unwrap().reason(), "misdirected");
    }
    assert_eq!(unfit(policy(), get("/")), Some(Unfit::Host));
    let two = with(&[("host", "example.com"), ("host", "example.com")], "");
    assert_eq!(unfit(policy(), two), Some(Unfit::Host));
}

fn with_host(host: &str) -> Request<&'static str> {
    Request::get("/").header("host", host).body("").unwrap()
}

// RFC 9112 §3.2.2.
#[test]
fn the_host_of_the_target_outranks_the_header() {
    let policy = || hosts(&["example.com"]);
    let request = |uri: &str, host: &str| Request::get(uri).header("host", host).body("").unwrap();

    assert!(judge(policy(), request("http://example.com:80/", "evil.test")).is_ok());
    assert_eq!(unfit(policy(), request("http://evil.test/", "example.com")), Some(Unfit::Host));
    assert_eq!(
        unfit(policy(), request("http://example.com@evil.test/", "example.com")),
        Some(Unfit::Host)
    );
}

#[test]
fn a_path_goes_on_as_it_was_sent_or_normalised_with_its_query() {
    let paths =
        Paths::new().parent_segments(Treatment::Normalise).empty_segments(Treatment::Normalise);
    let policy = || Policy::new().paths(paths);

    for (sent, seen) in [
        ("/a/b%20c?d=/../e", "/a/b%20c?d=/../e"),
        ("/a//b/%2e%2e/c?d=//e%2f..", "/a/c?d=//e%2f.."),
        ("http://example.com//a?", "http://example.com/a?"),
        ("*", "*"),
        ("example.com:443", "example.com:443"),
    ] {
        assert_eq!(judge(policy(), get(sent)).unwrap(), seen);
    }
    let refusal = judge(policy(), get("/a/..%2fb")).unwrap_err();
    assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refusal.extensions().get(), Some(&Unfit::Path(Flaw::ParentSegment)));
    assert_eq!(refusal.extensions().get::<Refused>().unwrap().reason(), "bad_path");
}

#[test]
fn size_comes_before_all_else_and_then_host_path_method_headers_and_type() {
    let mut policy = Policy::new()
        .content_types(["a/b".parse().unwrap()])
        .headers([HeaderName::from_static("x-a")]);
    let request = || Request::post("/a/../b").header("host", "evil.test").body("body").unwrap();
    assert_eq!(
        unfit(policy.clone(), request()),
        Some(Unfit::MissingHeader("x-a".parse().unwrap()))
    );
    policy = policy.methods([Method::PUT]);
    assert_eq!(unfit(policy.clone(), request()), Some(Unfit::Method));
    policy = policy.paths(Paths::new());
    assert_eq!(unfit(policy.clone(), request()), Some(Unfit::Path(Flaw::ParentSegment)));
    policy = policy.hosts(["example.com".parse().unwrap()]);
    assert_eq!(unfit(policy.clone(), request()), Some(Unfit::Host));
    let refusal = judge(policy.max_body(3), request()).unwrap_err();
    assert!(refusal.extensions().get::<TooLarge>().is_some());
}

#[test]
fn a_grpc_client_is_told_in_its_own_words() {
    let request = with(&[("content-type", "application/grpc")], "x");
    let refusal = judge(Policy::new().methods([Method::GET]), request).unwrap_err();

    assert_eq!(refusal.status(), StatusCode::OK);
    assert_eq!(refusal.headers()["grpc-status"], "2");
    assert_eq!(refusal.headers()["grpc-message"], "this method is not allowed here");
}

#[test]
fn what_is_no_host_or_type_cannot_be_configured() {
    for host in [
        "", "*", "*.", ".a", "a..b", "a:80", "a/b", "a*b", "*.[::1]", "[::g]", "::1", "a b",
        "http://a",
    ] {
        assert!(host.parse::<HostPattern>().is_err(), "{host}");
    }
    for range in [
        "", "a", "a/", "/b", "*/b", "a/*b", "a/*+", "*/*+json", "a*/b", "a/b;c=d", "a/b/c", "a /b",
        "a/b*", "**/*",
    ] {
        assert!(range.parse::<MediaRange>().is_err(), "{range}");
    }
}
