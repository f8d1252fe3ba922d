//! The signing test suite of AWS, whole.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::authorization::authorization;
use crate::key_cache::KeyCache;
use crate::percent::hex;
use crate::stamp::Stamp;
use crate::target::{self, PathRules};
use crate::{Signing, canonical};

/// The two cases that show how a path is encoded twice; they have no signature.
const ENCODED_TWICE: [&str; 2] = ["double-encode-path", "double-url-encode"];

#[test]
fn every_case_has_the_canonical_request_and_the_signature_that_it_says() {
    let vectors = include_str!("../tests/aws-signing-test-suite/vectors.json");
    let cases: Vec<BTreeMap<String, Value>> = serde_json::from_str(vectors).unwrap();
    assert_eq!(cases.len(), 40);

    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let encoded_twice = ENCODED_TWICE.contains(&name);
        let context = case.get("context").unwrap_or(&Value::Null);
        let normalised = context["normalize"].as_bool().unwrap_or(true);
        let rules = PathRules { normalised, encoded_twice };
        let expected = case["canonical_request"].as_str().unwrap();
        let (mut request, body) = parse(case["request"].as_str().unwrap());
        target::settle(request.uri_mut(), rules).unwrap();
        let payload = hex(&Sha256::digest(body).into());
        add_headers(request.headers_mut(), context, expected, &payload);
        let (parts, ()) = request.into_parts();
        let mut names: Vec<&HeaderName> = parts.headers.keys().collect();
        names.sort_by_key(|name| name.as_str());

        let digest = canonical::digest(&parts, rules, &names, &payload).unwrap();

        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
        if let Some(signature) = case.get("signature") {
            assert_eq!(sign(&names, &digest), signature.as_str().unwrap(), "{name}");
        }
    }
}

/// Reads a request as it stands on the wire, but for its line ends.
fn parse(text: &str) -> (Request<()>, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
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
    (request.body(()).unwrap(), body)
}

/// Adds what the signer of a case adds.
fn add_headers(headers: &mut HeaderMap, context: &Value, expected: &str, payload: &[u8]) {
    // The date is the case's own only in the two cases without a context.
    let (_, date) = expected.split_once("x-amz-date:").unwrap();
    headers.insert("x-amz-date", date.lines().next().unwrap().parse().unwrap());
    if context["sign_body"] == true {
        headers.insert("x-amz-content-sha256", HeaderValue::from_bytes(payload).unwrap());
    }
    if let (Some(token), None) = (context["token"].as_str(), context.get("omit_session_token")) {
        headers.insert("x-amz-security-token", token.parse().unwrap());
    }
}

fn sign(names: &[&HeaderName], digest: &[u8; 32]) -> String {
    let signing = Signing::new("service".parse().unwrap(), "us-east-1".parse().unwrap());
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let credentials = Credentials::new("AKIDEXAMPLE", secret, None, None, "test");
    let time = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    let stamp = Stamp::of(time).unwrap();
    let key = KeyCache::default().key(&signing, &credentials, time, stamp);
    let value = authorization(&signing, "AKIDEXAMPLE", stamp, names, digest, &key).unwrap();
    let (_, signature) = value.to_str().unwrap().rsplit_once('=').unwrap();
    signature.to_owned()
}
