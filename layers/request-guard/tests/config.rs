//! What a configuration file may say.
#![cfg(feature = "serde")]

use portcullis_request_guard::Ceilings;
use proptest::prelude::*;

fn read(file: &str) -> Result<Ceilings, String> {
    toml::from_str(file).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(Ceilings::new()));
}

#[test]
fn every_key_is_read() {
    let file = r#"
        max_uri = "1KiB"
        max_header_block = 2048
        max_header_count = 7
        max_body = "10MiB"
    "#;
    let ceilings = Ceilings::new()
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
        assert_eq!(read(&format!("max_body = {text}")), Ok(Ceilings::new().max_body(bytes)));
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
            let expected = Ceilings::new().max_body(count * bytes);
            prop_assert_eq!(read(&format!("max_body = '{count}{unit}'")), Ok(expected.clone()));
            prop_assert_eq!(read(&format!("max_body = {}", count * bytes)), Ok(expected));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9 KMGiB+.-]{0,24}") {
        let _ = read(&format!("max_body = '{text}'"));
    }
}
