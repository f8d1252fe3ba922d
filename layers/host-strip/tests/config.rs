//! What a configuration file may say.
#![cfg(feature = "serde")]

use http::header::{HeaderName, HeaderValue};
use portcullis_host_strip::{
    ClientHost, HopByHop, HostPolicy, OnAmbiguity, OnViolation, Protocol, Upgrade,
};

fn read(file: &str) -> Result<HopByHop, toml::de::Error> {
    toml::from_str(file)
}

#[derive(Debug, serde::Deserialize)]
struct Section {
    host: HostPolicy,
}

fn host(value: &str) -> Result<HostPolicy, toml::de::Error> {
    toml::from_str(&format!("host = {value}")).map(|section: Section| section.host)
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(HopByHop::default()));
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let documented = "
        max_nominations = 16
        on_violation = 'ignore'
        protected = []
        remove = []
        remove_prefixes = []
        upgrade = 'deny'
        keep_expect = false
        keep_proxy_auth = false
    ";
    assert_eq!(read(documented), Ok(HopByHop::default()));
}

#[test]
fn every_key_is_read() {
    let file = "
        max_nominations = 4
        on_violation = 'reject'
        protected = ['X-User', 'x-role']
        remove = ['X-Debug']
        remove_prefixes = ['X-Internal-']
        upgrade = { tokens = ['websocket', 'mqtt/5'] }
        keep_expect = true
        keep_proxy_auth = true
    ";
    let policy = HopByHop::default()
        .max_nominations(4)
        .on_violation(OnViolation::Reject)
        .protect(HeaderName::from_static("x-user"))
        .protect(HeaderName::from_static("x-role"))
        .remove(HeaderName::from_static("x-debug"))
        .remove_prefix("x-internal-".parse().unwrap())
        .upgrade(Upgrade::Tokens(vec![Protocol::WEBSOCKET, "mqtt/5".parse().unwrap()]))
        .keep_expect()
        .keep_proxy_auth();

    assert_eq!(read(file), Ok(policy));
}

#[test]
fn upgrades_are_named() {
    let upgrade = |name| HopByHop::default().upgrade(name);
    assert_eq!(read("upgrade = 'websocket'"), Ok(upgrade(Upgrade::WebSocket)));
    assert_eq!(read("upgrade = 'preserve'"), Ok(upgrade(Upgrade::Preserve)));
}

#[test]
fn mistakes_are_refused_with_a_reason() {
    let cases = [
        ("max_nomination = 1", "unknown field `max_nomination`"),
        ("max_nominations = -1", "invalid value"),
        ("on_violation = 'shrug'", "unknown variant `shrug`"),
        ("protected = ['no spaces']", "invalid HTTP header name"),
        ("remove = ['no spaces']", "invalid HTTP header name"),
        ("remove = ['Content-Length']", "`content-length` frames the message"),
        ("remove_prefixes = ['']", "not the beginning of a header's name"),
        ("remove_prefixes = ['x y']", "not the beginning of a header's name"),
        ("upgrade = 'h2c'", "unknown variant `h2c`"),
        ("upgrade = { tokens = ['h2c'] }", "not HTTP itself"),
        ("upgrade = { tokens = ['a, b'] }", "not a protocol to upgrade to"),
        ("upgrade = { tokens = [''] }", "not a protocol to upgrade to"),
        ("upgrade = { tokens = ['a/'] }", "not a protocol to upgrade to"),
    ];
    for (file, reason) in cases {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains(reason), "{file}: {error}");
    }
}

#[test]
fn a_host_policy_is_text_or_a_table() {
    assert_eq!(host("'strip'"), Ok(HostPolicy::Strip));
    assert_eq!(host("'preserve'"), Ok(HostPolicy::Preserve));
    assert_eq!(host("'from_uri'"), Ok(HostPolicy::FromUri));
    for text in ["api.internal", "api.internal:8080", "[::1]:80"] {
        let set = HostPolicy::Set(HeaderValue::from_static(text));
        assert_eq!(host(&format!("{{ set = '{text}' }}")), Ok(set));
    }
}

#[test]
fn a_host_that_is_none_is_refused() {
    for value in [
        "'keep'",
        "{ set = '' }",
        "{ set = ':80' }",
        "{ set = 'me@host' }",
        "{ set = 'a b' }",
        "{ set = 'http://a/' }",
        "{ set = 'a/b' }",
        "{ set = 'a', more = 'b' }",
    ] {
        assert!(host(value).is_err(), "{value}");
    }
}

#[test]
fn what_happens_to_an_ambiguous_host_is_named() {
    let read = |file| toml::from_str::<ClientHost>(file).map_err(|error| error.to_string());
    let policy = |reaction| Ok(ClientHost::default().on_ambiguity(reaction));

    assert_eq!(read(""), policy(OnAmbiguity::Reject));
    assert_eq!(read("on_ambiguity = 'reject'"), policy(OnAmbiguity::Reject));
    assert_eq!(read("on_ambiguity = 'prefer_authority'"), policy(OnAmbiguity::PreferAuthority));
    assert_eq!(read("on_ambiguity = 'ignore'"), policy(OnAmbiguity::Ignore));
    assert!(read("on_ambiguity = 'prefer'").unwrap_err().contains("unknown variant `prefer`"));
    assert!(read("ambiguous = 'ignore'").unwrap_err().contains("unknown field `ambiguous`"));
}
