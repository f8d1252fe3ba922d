//! What a configuration file may say.
#![cfg(feature = "serde")]

use portcullis_request_guard::{HostPattern, MediaRange, Paths, Policy, Treatment, Verdict};
use proptest::prelude::*;

fn read(file: &str) -> Result<Policy, String> {
    toml::from_str(file).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(Policy::new()));
}

#[test]
fn every_key_is_read() {
    let file = r#"
        max_uri = "1KiB"
        max_header_block = 2048
        max_header_count = 7
        max_body = "10MiB"
    "#;
    let ceilings = Policy::new()
        .max_uri(1024)
        .max_header_block(2048)
        .max_header_count(7)
        .max_body(10 * 1024 * 1024);

    assert_eq!(read(file), Ok(ceilings));
}

#[test]
fn sizes_have_binary_units() {
    for (text, bytes) in [
        ("0", 0),
        ("'0B'", 0),
        ("'512B'", 512),
        ("'8KiB'", 8192),
        ("'8 KiB'", 8192),
        ("'3GiB'", 3_221_225_472),
    ] {
        assert_eq!(read(&format!("max_body = {text}")), Ok(Policy::new().max_body(bytes)));
    }
}

#[test]
fn a_size_that_is_not_clear_is_refused_with_what_would_be_right() {
    for text in [
        "-1",
        "1.5",
        "true",
        "''",
        "'B'",
        "'KiB'",
        "'8'",
        "'8KB'",
        "'8kib'",
        "'8k'",
        "'-1KiB'",
        "'+1KiB'",
        "'1.5MiB'",
        "'8  KiB'",
        "' 8KiB'",
        "'1_000B'",
        "'99999999999GiB'",
        "'18446744073709551616B'",
    ] {
        let error = read(&format!("max_uri = {text}")).unwrap_err();
        assert!(error.contains("B, KiB, MiB or GiB"), "{text}: {error}");
    }
}

#[test]
fn an_unknown_key_and_a_negative_count_are_refused() {
    assert!(read("max_bodies = 1").unwrap_err().contains("unknown field `max_bodies`"));
    assert!(read("max_header_count = -1").is_err());
}

proptest! {
    #[test]
    fn a_size_is_the_same_in_any_unit_that_divides_it(count in 0_u64..1 << 30) {
        for (unit, bytes) in [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)] {
            let expected = Policy::new().max_body(count * bytes);
            prop_assert_eq!(read(&format!("max_body = '{count}{unit}'")), Ok(expected.clone()));
            prop_assert_eq!(read(&format!("max_body = {}", count * bytes)), Ok(expected));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9 KMGiB+.-]{0,24}") {
        let _ = read(&format!("max_body = '{text}'"));
    }
}

#[test]
fn what_a_request_must_be_is_read() {
    let file = r#"
        hosts = ["example.com", "*.example.com"]
        methods = ["GET", "PURGE"]
        headers = ["X-Api-Version"]
        content_types = ["application/json"]
        paths = "strict"
    "#;
    let hosts = ["example.com", "*.example.com"].map(|host| host.parse::<HostPattern>().unwrap());
    let policy = Policy::new()
        .hosts(hosts)
        .methods([http::Method::GET, "PURGE".parse().unwrap()])
        .headers(["x-api-version".parse().unwrap()])
        .content_types(["application/json".parse::<MediaRange>().unwrap()])
        .paths(Paths::strict());

    assert_eq!(read(file), Ok(policy));
}

#[test]
fn paths_have_the_name_of_a_policy_or_a_table() {
    let table = r#"
        [paths]
        parent_segments = "normalise"
        dot_segments = "refuse"
        empty_segments = "normalise"
        backslashes = "refuse"
        encoded_slashes = "normalise"
        control_bytes = "allow"
        invalid_utf8 = "allow"
        double_encoding = "allow"
    "#;
    let each = Paths::new()
        .parent_segments(Treatment::Normalise)
        .dot_segments(Treatment::Refuse)
        .empty_segments(Treatment::Normalise)
        .backslashes(Treatment::Refuse)
        .encoded_slashes(Treatment::Normalise)
        .control_bytes(Verdict::Allow)
        .invalid_utf8(Verdict::Allow)
        .double_encoding(Verdict::Allow);

    for (file, paths) in [
        ("paths = 'default'", Paths::new()),
        ("paths = 's3'", Paths::s3()),
        ("paths = {}", Paths::default()),
        (table, each),
    ] {
        assert_eq!(read(file), Ok(Policy::new().paths(paths)), "{file}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would_be_right() {
    for (file, expected) in [
        ("methods = ['get']", "like \"GET\""),
        ("methods = []", "one item at least"),
        ("hosts = []", "one item at least"),
        ("hosts = ['example.com:80']", "without its port"),
        ("headers = ['a b']", "the name of a header"),
        ("content_types = ['json']", "like \"application/json\""),
        ("methods = 'GET'", "a list of texts"),
        ("paths = 'lax'", "\"strict\""),
        ("paths = { root = 1 }", "unknown field `root`"),
        ("paths = { control_bytes = 'normalise' }", "unknown variant `normalise`"),
    ] {
        let error = read(file).unwrap_err();
        assert!(error.contains(expected), "{file}: {error}");
    }
}
