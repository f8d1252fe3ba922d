//! What the client said, and what of it arrives.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::{Builder, Parts};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use portcullis_sigv4_sign::{
    AllowedHeaders, Expires, NotSigned, SigV4SignLayer, SignedBody, Signing,
};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

/// What arrives at S3 when `request` is sent.
fn send(request: Builder) -> Result<Parts, (StatusCode, NotSigned)> {
    send_by(signing(), request)
}

fn signing() -> Signing {
    Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap())
}

fn send_by(signing: Signing, request: Builder) -> Result<Parts, (StatusCode, NotSigned)> {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let layer = SigV4SignLayer::new(signing, credentials)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_369_353_600));
    send_through(&layer, request)
}

fn send_through(
    layer: &SigV4SignLayer,
    request: Builder,
) -> Result<Parts, (StatusCode, NotSigned)> {
    let service = layer.layer(service_fn(|request: Request<SignedBody<Empty<Bytes>>>| async {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.into_parts().0);
        Ok::<_, Infallible>(response)
    }));
    let response = service.oneshot(request.body(Empty::new()).unwrap());
    let mut response =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(response).unwrap();
    let sent = response.extensions_mut().remove();
    sent.ok_or_else(|| (response.status(), *response.extensions().get().unwrap()))
}

fn get(uri: &str) -> Builder {
    Request::get(uri)
}

fn signed_headers(parts: &Parts) -> &str {
    let authorization = parts.headers[AUTHORIZATION].to_str().unwrap();
    authorization.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0
}

#[test]
fn the_clients_own_signature_does_not_survive() {
    let uri = "https://a.example/k?X-Amz-Signature=f00&x-amz-security-token=theirs&a=1";
    let request = get(uri)
        .header("authorization", "AWS4-HMAC-SHA256 theirs")
        .header("authorization", "Basic theirs")
        .header("x-amz-date", "20000101T000000Z")
        .header("x-amz-content-sha256", "theirs")
        .header("x-amz-security-token", "theirs")
        .header("x-amz-region-set", "theirs")
        .header("x-amz-s3session-token", "theirs");
    let sent = send(request).unwrap();

    assert_eq!(sent.uri, "https://a.example/k?a=1");
    assert_eq!(signed_headers(&sent), "host;x-amz-content-sha256;x-amz-date");
    assert_eq!(sent.headers["x-amz-date"], "20130524T000000Z");
    assert_eq!(sent.headers.len(), 4);
    assert!(!format!("{:?}", sent.headers).contains("theirs"));
}

#[test]
fn a_client_does_not_borrow_the_rights_of_the_credentials() {
    for name in [
        "x-amz-acl",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-bypass-governance-retention",
        "x-amz-copy-source",
        "x-amz-copy-source-range",
        "x-amz-grant-full-control",
        "x-amz-mfa",
        "x-amz-object-lock-mode",
        "x-amz-object-ownership",
        "x-amz-rename-source",
        "x-amz-request-payer",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-context",
        "x-amz-tagging",
        "x-amz-website-redirect-location",
    ] {
        let refused = send(get("https://a.example/k").header(name, "x")).unwrap_err();
        assert_eq!(refused, (StatusCode::FORBIDDEN, NotSigned::ForbiddenHeader), "{name}");
    }
}

#[test]
fn a_header_that_is_allowed_passes_and_is_signed() {
    let allowed = AllowedHeaders::new(["x-amz-acl", "x-amz-copy-source*"]).unwrap();
    let send = |name| {
        send_by(signing().allow(allowed.clone()), get("https://a.example/k").header(name, "x"))
    };

    for name in ["x-amz-acl", "x-amz-copy-source", "x-amz-copy-source-range"] {
        let sent = send(name).unwrap();
        assert!(signed_headers(&sent).split(';').any(|signed| signed == name), "{name}");
    }
    for name in ["x-amz-grant-read", "x-amz-tagging"] {
        assert_eq!(send(name).unwrap_err().1, NotSigned::ForbiddenHeader, "{name}");
    }
}

#[test]
fn no_allowance_lets_a_clients_signature_through() {
    let everything = AllowedHeaders::new(["x-amz-*"]).unwrap();
    let request = get("https://a.example/k?x-amz-security-token=theirs&X-Amz-Acl=theirs")
        .header("authorization", "theirs")
        .header("x-amz-content-sha256", "theirs")
        .header("x-amz-date", "theirs")
        .header("x-amz-region-set", "theirs")
        .header("x-amz-s3session-token", "theirs")
        .header("x-amz-security-token", "theirs");
    for signing in [signing(), signing().presigned(Expires::MAX)] {
        let sent = send_by(signing.allow(everything.clone()), request_again(&request)).unwrap();
        assert!(!format!("{sent:?}").contains("theirs"), "{sent:?}");
    }
}

/// A builder is no `Clone`.
fn request_again(request: &Builder) -> Builder {
    let uri = request.uri_ref().unwrap().clone();
    request
        .headers_ref()
        .unwrap()
        .iter()
        .fold(Request::get(uri), |again, (name, value)| again.header(name, value))
}

#[test]
fn a_session_of_s3_express_has_a_header_of_its_own() {
    let credentials = Credentials::new("id", "secret", Some("token".into()), None, "test");
    let layer = |signing| SigV4SignLayer::new(signing, credentials.clone());
    let signing = || Signing::new("s3express".parse().unwrap(), "eu-west-1".parse().unwrap());

    let sent =
        send_through(&layer(signing().express_session()), get("https://a.example/k")).unwrap();
    assert_eq!(signed_headers(&sent), "host;x-amz-content-sha256;x-amz-date;x-amz-s3session-token");
    assert_eq!(sent.headers["x-amz-s3session-token"], "token");

    let sent = send_through(&layer(signing()), get("https://a.example/k")).unwrap();
    assert_eq!(signed_headers(&sent), "host;x-amz-content-sha256;x-amz-date;x-amz-security-token");

    let presigned = signing().express_session().presigned(Expires::MAX);
    let sent = send_through(&layer(presigned), get("https://a.example/k")).unwrap();
    assert!(sent.uri.query().unwrap().contains("&X-Amz-S3session-Token=token&"), "{}", sent.uri);
}

#[test]
fn other_amazon_headers_pass_and_are_signed() {
    let request = get("https://a.example/k")
        .header("x-amz-meta-owner", "me")
        .header("x-amz-target", "DynamoDB_20120810.GetItem");
    let sent = send(request).unwrap();

    assert_eq!(
        signed_headers(&sent),
        "host;x-amz-content-sha256;x-amz-date;x-amz-meta-owner;x-amz-target"
    );
}

#[test]
fn headers_that_change_on_the_way_pass_unsigned() {
    let mut request = get("https://a.example/k").header("content-type", "text/plain");
    let names = [
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "range",
        "te",
        "traceparent",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-amzn-trace-id",
        "x-forwarded-for",
    ];
    for name in names {
        request = request.header(name, HeaderValue::from_bytes(b"\xff").unwrap());
    }
    let sent = send(request).unwrap();

    assert_eq!(signed_headers(&sent), "content-type;host;x-amz-content-sha256;x-amz-date");
    assert!(names.iter().all(|name| sent.headers.contains_key(*name)));
}

#[test]
fn a_body_in_aws_chunks_is_refused() {
    for (name, value) in [
        ("content-encoding", "gzip, AWS-Chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ] {
        let refused = send(get("https://a.example/k").header(name, value)).unwrap_err();
        assert_eq!(refused, (StatusCode::NOT_IMPLEMENTED, NotSigned::AwsChunked), "{name}");
    }
    assert!(send(get("https://a.example/k").header("content-encoding", "gzip")).is_ok());
}

#[test]
fn the_host_is_the_header_or_else_the_authority() {
    let both = send(get("https://connect.example/k").header(HOST, "name.example")).unwrap();
    assert_eq!(both.headers[HOST], "name.example");

    let authority = send(get("https://me:secret@a.example:8443/k")).unwrap();
    assert_eq!(authority.headers[HOST], "a.example:8443");

    let empty = send(get("https://a.example/k").header(HOST, "")).unwrap();
    assert_eq!(empty.headers[HOST], "a.example");
}

#[test]
fn a_request_that_names_no_host_or_two_is_refused() {
    let none = send(get("/k")).unwrap_err();
    assert_eq!(none, (StatusCode::INTERNAL_SERVER_ERROR, NotSigned::NoHost));

    let two = send(get("/k").header(HOST, "a").header(HOST, "b")).unwrap_err();
    assert_eq!(two, (StatusCode::BAD_REQUEST, NotSigned::BadHeader));
}

#[test]
fn a_signed_header_that_is_not_ascii_is_refused() {
    let opaque = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    for name in ["content-type", "content-md5", "host", "x-amz-meta-a"] {
        let refused = send(get("https://a.example/k").header(name, opaque.clone())).unwrap_err();
        assert_eq!(refused, (StatusCode::BAD_REQUEST, NotSigned::BadHeader), "{name}");
    }
}

#[test]
fn space_around_a_value_is_not_signed() {
    let signed = |value| send(get("https://a.example/k").header("x-amz-meta-a", value)).unwrap();
    let expected = signed("a b").headers[AUTHORIZATION].clone();

    for value in ["\ta b\t", "  a b ", "a   b"] {
        assert_eq!(signed(value).headers[AUTHORIZATION], expected, "{value:?}");
    }
    assert_ne!(signed("a\tb").headers[AUTHORIZATION], expected);
}

#[test]
fn a_target_that_cannot_be_signed_is_refused() {
    for uri in ["/%zz", "*", "/?a=%"] {
        let refused = send(get(uri).header(HOST, "a.example")).unwrap_err();
        assert_eq!(refused, (StatusCode::BAD_REQUEST, NotSigned::BadTarget), "{uri}");
    }
}

#[test]
fn a_header_map_without_room_is_refused() {
    let mut request = get("https://a.example/k");
    for index in 0..24_576 {
        request = request.header(format!("x-{index}"), "1");
    }

    let refused = send(request).unwrap_err();
    assert_eq!(refused, (StatusCode::BAD_REQUEST, NotSigned::BadHeader));
}

proptest! {
    #[test]
    fn no_request_panics(
        uri in "(https?://[a-z@:]{1,8})?/[ -~é]{0,24}",
        headers in proptest::collection::vec(
            ("(host|content-type|x-amz-[a-z-]{1,12}|[a-z]{1,3})", proptest::collection::vec(9_u8.., 0..12)),
            0..6,
        ),
    ) {
        let mut request = get(&uri);
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(&value).unwrap_or_else(|_| HeaderValue::from_static(""));
            request = request.header(name, value);
        }
        if request.uri_ref().is_some() {
            let _ = send(request);
        }
    }

    #[test]
    fn every_amazon_header_that_is_sent_is_signed_and_the_scope_names_the_region(
        names in proptest::collection::vec("x-amz-[a-z0-9-]{1,24}", 0..8),
        service in prop_oneof![Just("s3"), Just("execute-api"), Just("glacier")],
        region in "[a-z]{2}-[a-z]{4,9}-[1-9]",
    ) {
        let signing = Signing::new(service.parse().unwrap(), region.parse().unwrap());
        let request = names.iter().fold(get("https://a.example/k"), |request, name| request.header(name, "x"));

        if let Ok(sent) = send_by(signing, request) {
            let signed: Vec<_> = signed_headers(&sent).split(';').collect();
            for name in sent.headers.keys().map(HeaderName::as_str) {
                prop_assert_eq!(signed.contains(&name), name != "authorization", "{}", name);
            }
            let scope = format!(" Credential=id/20130524/{region}/{service}/aws4_request, ");
            prop_assert!(sent.headers[AUTHORIZATION].to_str().unwrap().contains(&scope));
        }
    }
}
