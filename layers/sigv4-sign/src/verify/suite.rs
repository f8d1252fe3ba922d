//! The signing test suite of AWS, whole: requests as they come in, and what they are canonical as.

use std::collections::BTreeMap;

use http::Request;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::canonical;
use crate::target::PathRules;

/// The two cases that show how a path is encoded twice.
const ENCODED_TWICE: [&str; 2] = ["double-encode-path", "double-url-encode"];

#[test]
fn every_case_has_the_canonical_request_that_it_says() {
    let vectors = include_str!("../../tests/aws-signing-test-suite/vectors.json");
    let cases: Vec<BTreeMap<String, Value>> = serde_json::from_str(vectors).unwrap();
    assert_eq!(cases.len(), 40);

    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let context = case.get("context").unwrap_or(&Value::Null);
        let normalised = context["normalize"].as_bool().unwrap_or(true);
        let rules = PathRules { normalised, encoded_twice: ENCODED_TWICE.contains(&name) };
        let expected = case["canonical_request"].as_str().unwrap();
        let mut lines = expected.rsplit('\n');
        let (payload, names) = (lines.next().unwrap(), lines.next().unwrap());
        let names: Vec<_> = names.split(';').collect();
        let (parts, ()) = request(case["request"].as_str().unwrap(), expected).into_parts();

        let path = canonical::path(parts.uri.path(), rules).unwrap();
        let digest = canonical::digest(&parts, &path, &names, payload, None).unwrap();

        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
    }
}

/// The request as it stands on the wire, with what its signer adds.
fn request(text: &str, canonical: &str) -> Request<()> {
    let head = text.split_once("\n\n").map_or(text, |(head, _)| head);
    // RFC 9112 §5.2: a folded line goes on after spaces.
    let head = head.replace("\n ", "  ");
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let (uri, _) = rest.rsplit_once(' ').unwrap();
    // `get-space-unnormalized` is no HTTP, and cannot arrive as it stands.
    let mut request = Request::builder().method(method).uri(uri.replace(' ', "%20"));
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    let mut request = request.body(()).unwrap();
    for added in ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
        let line = canonical.lines().find_map(|line| line.strip_prefix(added)?.strip_prefix(':'));
        if let Some(value) = line {
            request.headers_mut().insert(added, value.parse().unwrap());
        }
    }
    request
}
