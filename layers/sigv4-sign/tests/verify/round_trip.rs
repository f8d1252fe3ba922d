//! What the signer of AWS signs is accepted, and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Request};
use portcullis_sigv4_sign::{FixedKeys, SecretKey, ServiceName, SigV4VerifyLayer, Verifying};
use proptest::prelude::*;

use crate::frames::{Frames, send};
use crate::sdk::Sdk;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn layer(service: &str) -> SigV4VerifyLayer {
    let keys = FixedKeys::new([("id", SecretKey::new("secret"))]);
    SigV4VerifyLayer::new(Verifying::new(ServiceName::new(service).unwrap()), keys).clock(now)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn is_accepted(service: &str, request: Request<Frames>) -> bool {
    let (arrived, refused) = block_on(send(&layer(service), request));
    arrived.is_some_and(|arrived| arrived.broken.is_none()) && refused.is_none()
}

/// A character of a path or a query as a client encodes it.
fn character() -> impl Strategy<Value = String> {
    let escaped =
        |text: String| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    prop_oneof![
        4 => "[a-z0-9._~/-]",
        1 => "\\PC".prop_map(escaped),
        1 => "[ %/+é\n]".prop_map(escaped),
    ]
}

fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(character(), 0..most).prop_map(|characters| characters.concat())
}

fn query() -> impl Strategy<Value = String> {
    let parameter = (text(4), text(4)).prop_map(|(name, value)| {
        format!("{}={}", name.replace('/', "%2F"), value.replace('/', "%2F"))
    });
    proptest::collection::vec(parameter, 0..4).prop_map(|parameters| parameters.join("&"))
}

fn header() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("range".to_owned()),
        "x-amz-meta-[a-z]{1,2}",
        "x-[b-z]{1,2}"
    ];
    (name, "[!-~]{0,6}( {0,3}[!-~]{1,6}){0,2}")
}

#[derive(Clone, Debug)]
struct Sent {
    s3: bool,
    presigned: bool,
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: &'static str,
}

fn sent() -> impl Strategy<Value = Sent> {
    (
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just("GET"), Just("HEAD"), Just("PUT"), Just("DELETE")],
        text(12),
        query(),
        proptest::collection::vec(header(), 0..6),
        prop_oneof![Just(""), Just("x"), Just("some bytes")],
    )
        .prop_map(|(s3, presigned, method, path, query, headers, body)| {
            let presigned = presigned && s3;
            let body = if s3 && !presigned { body } else { "" };
            Sent { s3, presigned, method, path, query, headers, body }
        })
}

impl Sent {
    fn service(&self) -> &'static str {
        if self.s3 { "s3" } else { "execute-api" }
    }

    fn signed(&self) -> Request<Frames> {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("https://a.example:81/{}{query}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let sdk = Sdk::new("id", "secret", now()).service(self.service());
        if self.presigned {
            sdk.presign(request, Duration::from_secs(60))
        } else {
            sdk.sign(request, self.body.as_bytes())
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_is_accepted(sent in sent()) {
        let request = sent.signed();
        prop_assert!(is_accepted(sent.service(), request), "{:?}", sent.signed());
    }

    #[test]
    fn a_change_of_anything_is_refused(
        sent in sent(),
        what in 0_u8..6,
        at: proptest::sample::Index,
        to in "[a-zA-Z0-9]",
    ) {
        let mut request = sent.signed();
        let changed = |text: &str| {
            let at = at.index(text.len());
            let mut changed = text.to_owned();
            changed.replace_range(at..=at, &to);
            (changed != text).then_some(changed)
        };
        let applied = match what {
            0 => {
                let other = if sent.method == "PUT" { "GET" } else { "PUT" };
                *request.method_mut() = other.parse().unwrap();
                true
            }
            // All of an URI but the authority, which stands in `Host`.
            1 => {
                let uri = request.uri().to_string();
                let (authority, target) = uri.split_at("https://a.example:81/".len());
                let target = (!target.is_empty()).then(|| changed(target)).flatten();
                let uri = target.and_then(|target| format!("{authority}{target}").parse::<http::Uri>().ok());
                // A change of case in an escape changes nothing, nor does an escape that is no longer needed.
                let is_same = |other: &http::Uri| decoded(&other.to_string()) == decoded(&request.uri().to_string());
                let uri = uri.filter(|uri| sent.s3 && !is_same(uri));
                uri.map(|uri| *request.uri_mut() = uri).is_some()
            }
            2 if !sent.body.is_empty() => {
                let body = changed(sent.body);
                let is_changed = body.is_some();
                *request.body_mut() = Frames::new([body.unwrap_or_default()]);
                is_changed
            }
            _ => {
                let names: Vec<HeaderName> = request.headers().keys().cloned().collect();
                let name = &names[at.index(names.len())];
                let text = request.headers()[name].to_str().unwrap().to_owned();
                let value = (!text.is_empty()).then(|| changed(&text)).flatten();
                let value = value.map(|value| HeaderValue::from_str(&value).unwrap());
                value.map(|value| request.headers_mut().insert(name, value)).is_some()
            }
        };
        prop_assume!(applied);

        prop_assert!(!is_accepted(sent.service(), request));
    }
}

fn decoded(uri: &str) -> Vec<u8> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            let escape = (*byte == b'%').then(|| after.split_at_checked(2)).flatten();
            let value = escape.and_then(|(digits, _)| {
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
            });
            bytes.push(value.unwrap_or(*byte));
            rest = escape.filter(|_| value.is_some()).map_or(after, |(_, after)| after);
        }
        bytes
    };
    let mut parameters: Vec<_> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| [decode(name), decode(value)].join(&0))
        .collect();
    parameters.sort();
    [decode(path), parameters.join(&1)].join(&2)
}
