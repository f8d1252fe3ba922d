//! Tokens of any form, beside a slow and plain reader of them; `fuzz/` asks the same with more patience.
#![cfg(feature = "aws-lc-rs")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "the fuzz target uses it, too")]

use proptest::prelude::*;

#[path = "oracle/token.rs"]
mod oracle;

/// Pieces that JSON of tokens is made of, or nearly.
const NAMES: [&str; 10] = [
    r#""alg""#,
    r#""\u0061lg""#,
    r#""crit""#,
    r#""b64""#,
    r#""cty""#,
    r#""typ""#,
    r#""kid""#,
    r#""exp""#,
    r#"":""#,
    r#""\"""#,
];
const VALUES: [&str; 16] = [
    r#""HS256""#,
    r#""HS256""#,
    r#""none""#,
    r#""Ed25519""#,
    r#""JWT""#,
    "true",
    "false",
    "null",
    "9999999999",
    "1e400",
    "-1",
    "[]",
    "{}",
    r#"{"a":1,"a":2}"#,
    r#"[{"a":{}},{"a":"\\"}]"#,
    "\"",
];

fn json() -> impl Strategy<Value = Vec<u8>> {
    let (name, value) = (prop::sample::select(&NAMES[..]), prop::sample::select(&VALUES[..]));
    let member = (name, value).prop_map(|(name, value)| format!("{name}:{value}"));
    (
        prop::collection::vec(member, 0..4),
        prop::option::weighted(0.1, any::<(prop::sample::Index, u8)>()),
    )
        .prop_map(|(members, change)| {
            let mut json = format!("{{{}}}", members.join(",")).into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(json.len());
                json[at] = byte;
            }
            json
        })
}

proptest! {
    #[test]
    fn any_text_is_read_as_it_should_be(text in "[A-Za-z0-9_.=-]{1,80}|(e30|eyJhbGciOiJIUzI1NiJ9|[A-Z]{0,3}|=|\\.){1,7}|\\PC{1,9}") {
        oracle::compare(&oracle::layer(), text.as_bytes());
    }

    #[test]
    fn whatever_is_signed_is_read_as_it_should_be(header in json(), claims in json()) {
        oracle::compare_signed(&oracle::layer(), &header, &claims);
        oracle::compare_signed(&oracle::layer(), b"{\"alg\":\"HS256\"}", &claims);
    }
}

#[test]
fn a_token_that_is_too_long_is_one() {
    let layer = oracle::layer();
    for length in [3000, 3010, 3020, 3030, 3040] {
        let claims = format!("{{\"a\":\"{}\"}}", "a".repeat(length));
        oracle::compare_signed(&layer, b"{\"alg\":\"HS256\"}", claims.as_bytes());
    }
}
