//! The signing test suite of AWS, whole.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::authorization::authorization;
use crate::key_cache::KeyCache;
use crate::percent::hex;
use crate::presigned::Presigned;
use crate::stamp::Stamp;
use crate::target::{self, PathRules};
use crate::{Expires, Signing, canonical};

/// The two cases that show how a path is encoded twice; they have no signature, and no other form.
const ENCODED_TWICE: [&str; 2] = ["double-encode-path", "double-url-encode"];

type Case = BTreeMap<String, Value>;

fn cases() -> Vec<Case> {
    let vectors = include_str!("../tests/aws-signing-test-suite/vectors.json");
    let cases: Vec<Case> = serde_json::from_str(vectors).unwrap();
    assert_eq!(cases.len(), 40);
    cases
}

#[test]
fn every_case_has_the_canonical_request_and_the_signature_that_it_says() {
    for case in &cases() {
        let name = case["name"].as_str().unwrap();
        let expected = case["canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        add_headers(&mut parts.headers, context(case), expected, &payload);
        let names = names(&parts);

        let digest = canonical::digest(&parts, rules(case), &names, &payload).unwrap();

        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
        if let Some(signature) = case.get("signature") {
            assert_eq!(sign(&names, &digest), signature.as_str().unwrap(), "{name}");
        }
    }
}

#[test]
fn every_case_has_the_presigned_url_that_it_says() {
    for case in cases().iter().filter(|case| !is_encoded_twice(case)) {
        let name = case["name"].as_str().unwrap();
        let expected = case["query_canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        let (signing, credentials) = (signing(), credentials(token_to_sign(case)));
        let presigned = presigned(&signing, &credentials);
        let key = signing.algorithm().key(&signing, &credentials, time());

        let mut uri = parts.uri.clone();
        presigned.put_claims(&mut uri, &names(&parts)).unwrap();
        parts.uri = uri;
        let digest = canonical::digest(&parts, rules(case), &names(&parts), &payload).unwrap();
        presigned.put_signature(&mut parts.uri, &digest, &key).unwrap();

        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
        let (_, signature) = parts.uri.query().unwrap().rsplit_once("X-Amz-Signature=").unwrap();
        assert_eq!(signature, case["query_signature"].as_str().unwrap(), "{name}");
    }
}

/// A signature by ECDSA is another each time it is made elsewhere: what is signed is compared.
#[cfg(feature = "sigv4a")]
#[test]
fn every_case_has_the_canonical_requests_of_version_4a_that_it_says() {
    for case in cases().iter().filter(|case| !is_encoded_twice(case)) {
        let name = case["name"].as_str().unwrap();
        let signing = signing().region_set("us-east-1".parse().unwrap());
        let credentials = credentials(token_to_sign(case));
        let digest = |parts: &Parts, payload: &[u8]| {
            canonical::digest(parts, rules(case), &names(parts), payload).unwrap()
        };

        let expected = case["v4a_canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        add_headers(&mut parts.headers, context(case), expected, &payload);
        parts.headers.insert("x-amz-region-set", HeaderValue::from_static("us-east-1"));
        let found = digest(&parts, &payload);
        assert_eq!(found, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");

        let expected = case["v4a_query_canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        let mut uri = parts.uri.clone();
        presigned(&signing, &credentials).put_claims(&mut uri, &names(&parts)).unwrap();
        parts.uri = uri;
        let found = digest(&parts, &payload);
        assert_eq!(found, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
    }
}

fn is_encoded_twice(case: &Case) -> bool {
    ENCODED_TWICE.contains(&case["name"].as_str().unwrap())
}

fn context(case: &Case) -> &Value {
    case.get("context").unwrap_or(&Value::Null)
}

fn rules(case: &Case) -> PathRules {
    let normalised = context(case)["normalize"].as_bool().unwrap_or(true);
    PathRules { normalised, encoded_twice: is_encoded_twice(case) }
}

/// The head of a case's request with its target settled, and the hash of its body.
fn settled(case: &Case) -> (Parts, [u8; 64]) {
    let (mut request, body) = parse(case["request"].as_str().unwrap());
    target::settle(request.uri_mut(), rules(case)).unwrap();
    (request.into_parts().0, hex(&Sha256::digest(body).into()))
}

/// Every header: the suite signs all that a case has.
fn names(parts: &Parts) -> Vec<&HeaderName> {
    let mut names: Vec<_> = parts.headers.keys().collect();
    names.sort_by_key(|name| name.as_str());
    names
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

/// `post-sts-header-after` adds its token to what was signed without it, which is for services that this layer does not
/// know: it is signed as without one.
fn token_to_sign(case: &Case) -> Option<String> {
    let context = context(case);
    let token = context["token"].as_str().filter(|_| context.get("omit_session_token").is_none());
    token.map(str::to_owned)
}

fn signing() -> Signing {
    Signing::new("service".parse().unwrap(), "us-east-1".parse().unwrap())
}

fn credentials(token: Option<String>) -> Credentials {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    Credentials::new("AKIDEXAMPLE", secret, token, None, "test")
}

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn presigned<'a>(signing: &'a Signing, credentials: &'a Credentials) -> Presigned<'a> {
    let expires = Expires::new(Duration::from_secs(3600)).unwrap();
    Presigned { signing, credentials, stamp: Stamp::of(time()).unwrap(), expires }
}

fn sign(names: &[&HeaderName], digest: &[u8; 32]) -> String {
    let stamp = Stamp::of(time()).unwrap();
    let key = KeyCache::default().key(&signing(), &credentials(None), time(), stamp);
    let value = authorization(&signing(), "AKIDEXAMPLE", stamp, names, digest, &key).unwrap();
    let (_, signature) = value.to_str().unwrap().rsplit_once('=').unwrap();
    signature.to_owned()
}
