//! What is removed from a request, against a slow model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::Request;
use http::header::{HeaderMap, HeaderName};
use portcullis_host_strip::{HopByHop, Ignored, OnViolation, Stripped, Upgrade, Violation};
use proptest::prelude::*;

fn map(lines: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

/// What is left of a request with `lines`.
fn strip(
    policy: &HopByHop,
    lines: &[(String, String)],
) -> (HeaderMap, Result<Stripped, Violation>) {
    let mut request = Request::new(());
    *request.headers_mut() = map(lines);
    let result = policy.strip_request(&mut request);
    (request.into_parts().0.headers, result)
}

/// What should be left of a request's `lines`, by the letter and without haste.
fn model(max: usize, lines: &[(String, String)]) -> (Vec<(String, String)>, [u64; 3]) {
    const FIXED: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "proxy-authorization",
        "expect",
    ];
    let all_of = |wanted: &str| -> Vec<String> {
        let lines = lines.iter().filter(|(name, _)| name == wanted);
        let elements = lines.flat_map(|(_, value)| value.split(','));
        let elements = elements.map(|element| element.trim().to_lowercase());
        elements.filter(|element| !element.is_empty()).collect()
    };

    let (mut nominated, [mut malformed, mut protected, mut excess]) = (Vec::new(), [0; 3]);
    for element in all_of("connection") {
        if HeaderName::from_bytes(element.as_bytes()).is_err() {
            malformed += 1;
        } else if ["host", "via", "x-forwarded-for", "content-length"].contains(&element.as_str()) {
            protected += 1;
        } else if element == "close" || FIXED.contains(&element.as_str()) {
        } else if nominated.len() < max {
            nominated.push(element);
        } else {
            excess += 1;
        }
    }

    let mut left = lines.to_vec();
    left.retain(|(name, _)| !FIXED.contains(&name.as_str()) && !nominated.contains(name));
    if all_of("te").contains(&"trailers".to_owned()) {
        left.push(("te".into(), "trailers".into()));
    }
    let asks = all_of("connection").contains(&"upgrade".to_owned());
    if asks && all_of("upgrade").contains(&"websocket".to_owned()) {
        left.push(("connection".into(), "upgrade".into()));
        left.push(("upgrade".into(), "websocket".into()));
    }
    left.sort_by(|(one, _), (other, _)| one.cmp(other)); // stable: lines of one name keep their order
    (left, [malformed, protected, excess])
}

/// Words that mean something in one header or another, and a few that mean nothing.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "http2-settings",
        "expect",
        "proxy-authorization",
        "x-a",
        "x-b",
        "x-c",
        "x-d",
        "x-e",
        "host",
        "via",
        "x-forwarded-for",
        "content-length",
        "close",
        "trailers",
        "websocket",
        "h2c",
        "@",
        "\"x-a\"",
        "",
        "X-B",
        "Host",
    ])
}

fn lines() -> impl Strategy<Value = Vec<(String, String)>> {
    let name =
        word().prop_filter_map("no name", |word| HeaderName::from_bytes(word.as_bytes()).ok());
    let name = prop_oneof![Just(HeaderName::from_static("connection")), name];
    let value =
        prop::collection::vec((word(), prop::sample::select(vec![",", ", ", " ,\t", ",,"])), 0..5);
    let value = value
        .prop_map(|words| words.iter().map(|(word, comma)| [*word, *comma].concat()).collect());
    prop::collection::vec((name.prop_map(|name| name.to_string()), value), 0..12)
}

proptest! {
    #[test]
    fn any_request_is_left_as_the_model_says(lines in lines(), max in 0..6_usize) {
        let policy = HopByHop::default().max_nominations(max).upgrade(Upgrade::WebSocket);
        let (headers, stripped) = strip(&policy, &lines);
        let ignored = stripped.unwrap().ignored();

        let mut seen: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        seen.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (left, counts) = model(max, &lines);
        prop_assert_eq!(seen, left);
        prop_assert_eq!([ignored.malformed(), ignored.protected(), ignored.excess()], counts);

        let strict = strip(&policy.on_violation(OnViolation::Reject), &lines);
        prop_assert_eq!(strict.1.is_err(), ignored != Ignored::default());
        prop_assert_eq!(strict.0 == map(&lines), strict.1.is_err() || headers == map(&lines));
    }

    #[test]
    fn stripping_what_is_stripped_changes_nothing(lines in lines()) {
        let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
        let mut request = Request::new(());
        *request.headers_mut() = map(&lines);
        policy.strip_request(&mut request).unwrap();

        let once = request.headers().clone();
        policy.strip_request(&mut request).unwrap();
        prop_assert_eq!(&once, request.headers());
    }
}
