//! The signing test suite of AWS, whole.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
#[cfg(feature = "sigv4a")]
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
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
            assert_eq!(sign(&signing(), &names, &digest), signature.as_str().unwrap(), "{name}");
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

/// The key whose other half the suite's key pair has, as `public-key.json` of each of its cases for Version 4A says.
#[cfg(feature = "sigv4a")]
const PUBLIC_KEY: &str = "04\
    b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1\
    865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518";

/// A signature by ECDSA is another each time it is made elsewhere: what is signed is compared, and the signature verified
/// by who knows only the public key.
#[cfg(feature = "sigv4a")]
#[test]
fn every_case_has_the_canonical_requests_of_version_4a_that_it_says_and_signatures_of_its_key() {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, from_hex(PUBLIC_KEY));
    for case in cases().iter().filter(|case| !is_encoded_twice(case)) {
        let name = case["name"].as_str().unwrap();
        let signing = signing().region_set("us-east-1".parse().unwrap());
        let credentials = credentials(token_to_sign(case));
        let digest = |parts: &Parts, payload: &[u8]| {
            canonical::digest(parts, rules(case), &names(parts), payload).unwrap()
        };
        let verify = |request: &str, signature: &str| {
            let hash = String::from_utf8(hex(&Sha256::digest(request).into()).to_vec()).unwrap();
            let text = format!(
                "AWS4-ECDSA-P256-SHA256\n20150830T123600Z\n20150830/service/aws4_request\n{hash}"
            );
            let verified = key.verify(text.as_bytes(), &from_hex(signature));
            assert!(verified.is_ok(), "{name}: {signature} is not of {text}");
        };

        let expected = case["v4a_canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        add_headers(&mut parts.headers, context(case), expected, &payload);
        parts.headers.insert("x-amz-region-set", HeaderValue::from_static("us-east-1"));
        let found = digest(&parts, &payload);
        assert_eq!(found, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
        verify(expected, &sign(&signing, &names(&parts), &found));

        let expected = case["v4a_query_canonical_request"].as_str().unwrap();
        let (mut parts, payload) = settled(case);
        let (presigned, mut uri) = (presigned(&signing, &credentials), parts.uri.clone());
        presigned.put_claims(&mut uri, &names(&parts)).unwrap();
        parts.uri = uri;
        let found = digest(&parts, &payload);
        assert_eq!(found, <[u8; 32]>::from(Sha256::digest(expected)), "{name}: {expected}");
        let key = signing.algorithm().key(&signing, &credentials, time());
        presigned.put_signature(&mut parts.uri, &found, &key).unwrap();
        let (_, signature) = parts.uri.query().unwrap().rsplit_once("X-Amz-Signature=").unwrap();
        verify(expected, signature);
    }
}

#[cfg(feature = "sigv4a")]
fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| digit(pair[0]).unwrap() << 4 | digit(pair[1]).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
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

fn sign(signing: &Signing, names: &[&HeaderName], digest: &[u8; 32]) -> String {
    let stamp = Stamp::of(time()).unwrap();
    let key = KeyCache::default().key(signing, &credentials(None), time(), stamp);
    let value = authorization(signing, "AKIDEXAMPLE", stamp, names, digest, &key).unwrap();
    let (_, signature) = value.to_str().unwrap().rsplit_once('=').unwrap();
    signature.to_owned()
}
