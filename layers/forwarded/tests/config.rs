//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use http::header::HeaderName;
use portcullis_forwarded::{Addresses, ForwardedPolicy, NextHop, Pseudonym, Source};
use serde::de::DeserializeOwned;

fn read(file: &str) -> Result<ForwardedPolicy, toml::de::Error> {
    toml::from_str(file)
}

fn message<T: DeserializeOwned>(file: &str) -> String {
    toml::from_str::<T>(file).err().expect(file).message().to_owned()
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(ForwardedPolicy::new()));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let file = "trusted = []\nsource = 'x_forwarded_for'\nx_forwarded = 'write'\nforwarded = 'strip'\nremove = []";

    assert_eq!(read(file), Ok(ForwardedPolicy::default()));
    assert_eq!(toml::from_str("deny = []"), Ok(Addresses::all()));
    assert_eq!(toml::from_str(""), Ok(Addresses::default()));
}

#[test]
fn all_of_it_is_read() {
    let file = r#"
        trusted = ["10.0.0.0/8", "192.0.2.1", "unix"]
        source = "forwarded"
        x_forwarded = "strip"
        forwarded = "write"
        remove = ["True-Client-IP"]
    "#;

    let expected = ForwardedPolicy::new()
        .trusted(["10.0.0.0/8", "192.0.2.1/32", "unix"].map(|it| it.parse().unwrap()))
        .source(Source::Forwarded)
        .x_forwarded(NextHop::Strip)
        .forwarded(NextHop::Write)
        .remove(HeaderName::from_static("true-client-ip"));
    assert_eq!(read(file), Ok(expected));

    let file = "allow = ['192.0.2.0/24', '2001:db8::/32']\ndeny = ['192.0.2.66']";
    let expected = Addresses::all()
        .allow(["192.0.2.0/24", "2001:db8::/32"].map(|it| it.parse().unwrap()))
        .deny(["192.0.2.66/32".parse().unwrap()]);
    assert_eq!(toml::from_str(file), Ok(expected));
}

#[test]
fn mistakes_are_explained() {
    let policy = message::<ForwardedPolicy>;
    assert!(policy("trust = []").contains("unknown field `trust`"));
    assert!(policy("trusted = ['10.0.0.1/8']").contains("\"10.0.0.1/8\" is no network"));
    assert!(policy("remove = ['a b']").contains("\"a b\" is no header name"));
    assert!(policy("source = 'x_real_ip'").contains("unknown variant `x_real_ip`"));
    let addresses = message::<Addresses>;
    assert!(addresses("allowed = []").contains("unknown field `allowed`"));
    assert!(addresses("allow = ['unix']").contains("\"unix\" is no network"));
    let named = message::<std::collections::BTreeMap<String, Pseudonym>>;
    assert!(named("via = 'a b'").contains("a name in Via"));
}
