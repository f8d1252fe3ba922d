//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use http::header::HeaderName;
use portcullis_request_id::{Format, RequestIdPolicy, Trust};

fn read(file: &str) -> Result<RequestIdPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message(file: &str) -> String {
    read(file).expect_err(file).message().to_owned()
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(RequestIdPolicy::new()));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let file =
        "header = 'x-request-id'\ntrusted = 'none'\nformat = 'uuid_v7'\ntrace_parent = false";

    assert_eq!(read(file), Ok(RequestIdPolicy::default()));
}

#[test]
fn all_of_it_is_read() {
    let name = HeaderName::from_static;
    let file = r#"
        header = "X-Id"
        accept = ["X-Id", "X-Correlation-Id"]
        response_header = "X-Answer-Id"
        trusted = ["10.0.0.0/8", "192.0.2.1"]
        format = "ulid"
        trace_parent = true
    "#;

    let expected = RequestIdPolicy::new()
        .header(name("x-id"))
        .accept([name("x-id"), name("x-correlation-id")])
        .response_header(name("x-answer-id"))
        .trusted(Trust::Networks(vec![
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.1/32".parse().unwrap(),
        ]))
        .format(Format::Ulid)
        .trace_parent();
    assert_eq!(read(file), Ok(expected));
    assert_eq!(read("trusted = 'all'"), Ok(RequestIdPolicy::new().trusted(Trust::All)));
}

#[test]
fn mistakes_are_explained() {
    assert!(message("headers = 'a'").contains("unknown field `headers`"));
    assert!(message("header = 'a b'").contains("\"a b\" is no header name"));
    assert!(message("trusted = 'some'").contains("\"none\", \"all\" or a list"));
    assert!(message("trusted = ['10.0.0.1/8']").contains("\"10.0.0.1/8\" is no network"));
    assert!(message("trusted = ['10']").contains("\"10\" is no network"));
    assert!(message("format = 'uuid'").contains("unknown variant `uuid`"));
}
