//! What a configuration file may say.
#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http::header::{DATE, RANGE};
use portcullis_sigv4_sign::{
    AllowedHeaders, Checksum, Expires, Payload, SignedHeaders, Signing, Streaming,
};

fn read(rest: &str) -> Result<Signing, toml::de::Error> {
    toml::from_str(&format!("service = 's3'\nregion = 'eu-west-1'\n{rest}"))
}

fn s3() -> Signing {
    Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap())
}

#[test]
fn the_service_and_the_region_are_enough() {
    assert_eq!(read(""), Ok(s3()));
}

#[test]
fn every_key_is_read() {
    let file = "payload = 'unsigned'\nsigned_headers = ['Range', 'date']\nunsigned_over_http = true\n\
         allow = ['X-Amz-Acl', 'x-amz-grant-*']\npresigned = '15m'\n\
         express_session = true";
    let signed = SignedHeaders::new([RANGE, DATE]).unwrap();
    let allowed = AllowedHeaders::new(["x-amz-acl", "x-amz-grant-*"]).unwrap();
    let expires = Expires::new(Duration::from_secs(15 * 60)).unwrap();

    let signing = s3().payload(Payload::Unsigned).signed_headers(signed).unsigned_over_http();
    assert_eq!(read(file), Ok(signing.allow(allowed).presigned(expires).express_session()));
}

#[cfg(feature = "sigv4a")]
#[test]
fn a_set_of_regions_is_read() {
    let set = portcullis_sigv4_sign::RegionSet::new("us-east-1,eu-*").unwrap();

    assert_eq!(read("region_set = 'us-east-1, eu-*'"), Ok(s3().region_set(set)));
    assert!(read("region_set = 'eu west'").is_err());
}

#[cfg(not(feature = "sigv4a"))]
#[test]
fn a_set_of_regions_needs_its_feature() {
    assert!(read("region_set = '*'").is_err());
}

#[test]
fn a_size_is_a_number_or_a_text_with_a_unit() {
    let sizes = [
        ("0", 0),
        ("1048576", 1_048_576),
        ("'7B'", 7),
        ("'1KB'", 1000),
        ("'2 MB'", 2_000_000),
        ("'1GB'", 1_000_000_000),
        ("'1KiB'", 1024),
        ("'1MiB'", 1_048_576),
        ("'1GiB'", 1_073_741_824),
    ];
    for (text, bytes) in sizes {
        let signing = s3().payload(Payload::hash(bytes));
        assert_eq!(read(&format!("payload = {{ hash = {text} }}")), Ok(signing), "{text}");
    }
}

#[test]
fn larger_bodies_are_refused_or_unsigned() {
    let refused = s3().payload(Payload::hash(10));
    let unsigned = s3().payload(Payload::hash_or_unsigned(10));

    assert_eq!(read("payload = { hash = 10, larger = 'refuse' }"), Ok(refused));
    assert_eq!(read("payload = { hash = 10, larger = 'unsigned' }"), Ok(unsigned));
}

#[test]
fn larger_bodies_or_all_are_signed_in_chunks() {
    let larger = |streaming| s3().payload(Payload::hash_or_streaming(10, streaming));
    let all = |streaming| s3().payload(Payload::Streaming(streaming));
    let signed = Streaming::signed();
    let cases = [
        ("payload = 'streaming'", all(signed)),
        ("payload = { streaming = {} }", all(signed)),
        ("payload = { streaming = { chunk = '64KiB', signed = true } }", all(signed)),
        ("payload = { hash = 10, larger = 'streaming' }", larger(signed)),
        ("payload = { hash = 10, larger = { streaming = {} } }", larger(signed)),
        ("payload = { streaming = { chunk = '1MiB' } }", all(signed.chunk_bytes(1 << 20).unwrap())),
        (
            "payload = { hash = 10, larger = { streaming = { without_length = 'unsigned' } } }",
            larger(signed.unsigned_without_length()),
        ),
        (
            "payload = { streaming = { signed = false, checksum = 'crc64nvme' } }",
            all(Streaming::unsigned(Checksum::Crc64Nvme)),
        ),
    ];
    for (text, signing) in cases {
        assert_eq!(read(text), Ok(signing), "{text}");
    }
}

#[test]
fn a_checksum_is_named_in_lower_case() {
    let names = [
        ("crc32", Checksum::Crc32),
        ("crc32c", Checksum::Crc32c),
        ("crc64nvme", Checksum::Crc64Nvme),
        ("sha1", Checksum::Sha1),
        ("sha256", Checksum::Sha256),
    ];
    for (name, checksum) in names {
        let signing = s3().payload(Payload::Streaming(Streaming::signed().checksum(checksum)));
        let text = format!("payload = {{ streaming = {{ checksum = '{name}' }} }}");
        assert_eq!(read(&text), Ok(signing), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for rest in [
        "payload = 'hash'",
        "payload = {}",
        "payload = { hash = -1 }",
        "payload = { hash = '1 Mib' }",
        "payload = { hash = 'MiB' }",
        "payload = { hash = '99999999999GiB' }",
        "payload = { hash = 1, larger = 'drop' }",
        "payload = { hash = 1, max = 2 }",
        "payload = 5",
        "payload = { larger = 'streaming' }",
        "payload = { hash = 1, streaming = {} }",
        "payload = { larger = 'unsigned', streaming = {} }",
        "payload = { hash = 1, larger = {} }",
        "payload = { hash = 1, larger = { streaming = {}, chunk = 1 } }",
        "payload = { streaming = 'signed' }",
        "payload = { streaming = { signed = false } }",
        "payload = { streaming = { checksum = 'md5' } }",
        "payload = { streaming = { chunk = '8191B' } }",
        "payload = { streaming = { chunk = '17MiB' } }",
        "payload = { streaming = { without_length = 'hash' } }",
        "payload = { streaming = { trailer = 'crc32' } }",
        "signed_headers = ['no spaces']",
        "signed_headers = ['User-Agent']",
        "signed_headers = ['x-forwarded-for']",
        "unsigned_over_http = 'yes'",
        "credentials = 'x'",
        "allow = 'x-amz-acl'",
        "allow = ['x-amz-security-token']",
        "allow = ['authorization']",
        "presigned = 900",
        "presigned = 'soon'",
        "presigned = '0s'",
        "presigned = '8d'",
    ] {
        assert!(read(rest).is_err(), "{rest}");
    }
}

#[test]
fn names_that_do_not_fit_a_scope_are_refused() {
    for name in ["", "eu west", "eu/west", "é", "a\\n", &"x".repeat(65)] {
        let region = format!("service = 's3'\nregion = \"{name}\"");
        let service = format!("region = 'eu'\nservice = \"{name}\"");
        assert!(toml::from_str::<Signing>(&region).is_err(), "{name}");
        assert!(toml::from_str::<Signing>(&service).is_err(), "{name}");
    }
    assert!(toml::from_str::<Signing>("service = 's3'").is_err());
    assert!(toml::from_str::<Signing>("region = 'eu'").is_err());
}

#[test]
fn an_error_says_what_would_do() {
    let error = read("payload = 'all'").unwrap_err().to_string();
    assert!(error.contains("\"unsigned\", \"streaming\" or { hash = <size>"), "{error}");

    let error = read("payload = { streaming = { chunk = '1KiB' } }").unwrap_err().to_string();
    assert!(error.contains("a chunk is 8 KiB to 16 MiB"), "{error}");

    let error = read("presigned = '8d'").unwrap_err().to_string();
    assert!(error.contains("one second to seven days"), "{error}");

    let error = read("allow = ['x-amz-date']").unwrap_err().to_string();
    assert!(error.contains("\"x-amz-date\" is not a header that clients can"), "{error}");

    let error = read("signed_headers = ['cookie']").unwrap_err().to_string();
    assert!(error.contains("\"cookie\" is not a header that can be signed"), "{error}");
}
