//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use http::header::HeaderName;
use portcullis_forwarded::{ForwardedPolicy, NextHop, Source};

fn read(file: &str) -> Result<ForwardedPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message(file: &str) -> String {
    read(file).expect_err(file).message().to_owned()
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(ForwardedPolicy::new()));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let file = "trusted = []\nsource = 'x_forwarded_for'\nx_forwarded = 'write'\nforwarded = 'strip'\nremove = []\ndeny = []";

    assert_eq!(read(file), Ok(ForwardedPolicy::default()));
}

#[test]
fn all_of_it_is_read() {
    let file = r#"
        trusted = ["10.0.0.0/8", "fd00::/8"]
        source = "forwarded"
        x_forwarded = "strip"
        forwarded = "write"
        via = "gateway-1"
        remove = ["True-Client-IP"]
        allow = ["192.0.2.0/24"]
        deny = ["192.0.2.66"]
    "#;

    let expected = ForwardedPolicy::new()
        .trusted("10.0.0.0/8, fd00::/8".parse().unwrap())
        .source(Source::Forwarded)
        .x_forwarded(NextHop::Strip)
        .forwarded(NextHop::Write)
        .via("gateway-1")
        .unwrap()
        .remove(HeaderName::from_static("true-client-ip"))
        .allow("192.0.2.0/24".parse().unwrap())
        .deny("192.0.2.66".parse().unwrap());
    assert_eq!(read(file), Ok(expected));
}

#[test]
fn mistakes_are_explained() {
    assert!(message("trust = []").contains("unknown field `trust`"));
    assert!(message("trusted = ['10.0.0.1/8']").contains("\"10.0.0.1/8\" is no network"));
    assert!(message("via = 'a b'").contains("a name in Via"));
    assert!(message("remove = ['a b']").contains("\"a b\" is no header name"));
    assert!(message("source = 'x_real_ip'").contains("unknown variant `x_real_ip`"));
}
