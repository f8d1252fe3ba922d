//! What a refused client sees.

use std::time::Duration;

use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody, GrpcStatus, Refusal, Refused};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Mine(u8);

fn refusal() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "no_token", "a token is required")
}

fn dialect(content_type: &'static str) -> Dialect {
    Dialect::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]))
}

#[test]
fn an_http_client_sees_the_status_and_the_headers() {
    let challenge = HeaderValue::from_static("Bearer");
    let response = refusal().header(WWW_AUTHENTICATE, challenge).into_response(Dialect::Http, ());

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
}

#[test]
fn a_grpc_client_sees_a_trailers_only_response() {
    let response = refusal().into_response(Dialect::Grpc, ());

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "16");
    assert_eq!(response.headers()["grpc-message"], "a token is required");
}

#[test]
fn the_reason_is_in_the_extensions_in_either_dialect() {
    for dialect in [Dialect::Http, Dialect::Grpc] {
        let response = refusal().extension(Mine(7)).into_response(dialect, ());

        let refused: &Refused = response.extensions().get().unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(refused.reason(), "no_token");
        assert_eq!(refused.to_string(), "a token is required");
        assert_eq!(response.extensions().get(), Some(&Mine(7)));
    }
}

#[test]
fn waiting_as_long_as_told_is_never_too_short() {
    let cases = [(0, "1"), (1, "1"), (900, "1"), (1_000, "1"), (1_001, "2"), (90_500, "91")];
    for (wait, seconds) in cases {
        let response =
            refusal().retry_after(Duration::from_millis(wait)).into_response(Dialect::Http, ());
        assert_eq!(response.headers()[RETRY_AFTER], seconds, "{wait} ms");
    }

    let response = refusal().retry_after(Duration::MAX).into_response(Dialect::Http, ());
    assert_eq!(response.headers()[RETRY_AFTER], u64::MAX.to_string());
}

#[test]
fn grpc_is_told_by_its_content_type() {
    for grpc in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC; charset=x",
        "application/grpc ;a=b",
    ] {
        assert_eq!(dialect(grpc), Dialect::Grpc, "{grpc}");
    }
    for http in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpcx",
        "application/json",
        "",
    ] {
        assert_eq!(dialect(http), Dialect::Http, "{http}");
    }
    assert_eq!(Dialect::of(&HeaderMap::new()), Dialect::Http);
}

// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
#[test]
fn statuses_map_as_grpc_says() {
    let known =
        [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14)];
    for status in 100..1000 {
        let expected = known.iter().find(|(http, _)| *http == status).map_or(2, |(_, grpc)| *grpc);
        assert_eq!(
            GrpcStatus::of(StatusCode::from_u16(status).unwrap()) as u16,
            expected,
            "{status}"
        );
    }
}

#[test]
fn a_layer_may_choose_the_grpc_status() {
    let response =
        refusal().grpc_status(GrpcStatus::ResourceExhausted).into_response(Dialect::Grpc, ());

    assert_eq!(response.headers()["grpc-status"], "8");
}

#[test]
fn a_body_without_a_default_comes_from_a_closure() {
    struct NoDefault;

    let (_, ()): (NoDefault, ()) = ((|| NoDefault).empty(), DefaultBody::new().empty());
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(Refusal, Refused, Dialect, GrpcStatus, DefaultBody)>();
}

proptest! {
    #[test]
    fn any_detail_arrives_whole(detail in "\\PC{0,40}|[\\x00-\\x7f]{0,20}") {
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, "bad", detail.clone());
        let response = refusal.into_response(Dialect::Grpc, ());

        let message = response.headers()[HeaderName::from_static("grpc-message")].to_str().unwrap();
        let decoded = percent_encoding::percent_decode_str(message).decode_utf8().unwrap();
        prop_assert_eq!(decoded, detail);
    }
}

#[test]
fn the_body_is_the_one_given() {
    let response: Response<&str> = refusal().into_response(Dialect::Http, "");
    assert_eq!(*response.body(), "");
}
