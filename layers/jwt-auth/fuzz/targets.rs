use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Request, Response, Uri};
use portcullis_jwt_auth::{Algorithm, JwtAuthLayer, Key, TokenSource};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

#[path = "../tests/oracle/token.rs"]
mod oracle;

static LAYER: LazyLock<JwtAuthLayer> = LazyLock::new(oracle::layer);

/// Whatever comes as a token is read without a panic, and just as a slow and plain reader reads it: as it is, as the claims
/// of a token that is signed, and up to its first line as the header of one.
pub(crate) fn token(input: &[u8]) {
    oracle::compare(&LAYER, input);
    oracle::compare_signed(&LAYER, br#"{"alg":"HS256"}"#, input);
    if let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let (header, claims) = input.split_at(end);
        oracle::compare_signed(&LAYER, header, claims);
    }
}

/// A set has each key that would be one alone, in whatever company, and says of each other that it was skipped.
pub(crate) fn key_set(input: &[u8]) {
    let usable =
        |document: &Value| Key::jwks(document.to_string()).map(|set| set.into_iter().count());
    let set = Key::jwks(input);
    let Ok(document) = serde_json::from_slice::<Value>(input) else {
        assert!(set.is_err());
        return;
    };
    let entries = document.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let alone = entries.iter().filter(|entry| usable(&json!({ "keys": [entry] })).is_ok()).count();
    let (skipped, used) =
        set.map_or((entries.len(), 0), |set| (set.skipped().len(), set.into_iter().count()));
    assert_eq!((used, skipped), (alone, entries.len() - alone));
}

/// What is a public key is one of one kind, and the same key in another form is one as well.
pub(crate) fn public_key(input: &[u8]) {
    let pem = |label| {
        format!("-----BEGIN {label}-----\r\n{}\n-----END {label}-----", STANDARD.encode(input))
    };
    let pem = pem("PUBLIC KEY");
    let kinds = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let fitting: Vec<_> =
        kinds.into_iter().filter(|kind| Key::pem(&pem, [*kind]).is_ok()).collect();
    assert!(fitting.len() <= 1, "{fitting:?}");
    let last = |size| input.len().checked_sub(size).and_then(|start| input.get(start..));
    let part = |size, end| {
        URL_SAFE_NO_PAD.encode(last(size).and_then(|key| key.get(..end)).expect("a key"))
    };
    let key = match fitting.first() {
        Some(Algorithm::ES256) => {
            json!({ "kty": "EC", "crv": "P-256", "x": part(64, 32), "y": part(32, 32) })
        }
        Some(Algorithm::ES384) => {
            json!({ "kty": "EC", "crv": "P-384", "x": part(96, 48), "y": part(48, 48) })
        }
        Some(Algorithm::EdDSA) => json!({ "kty": "OKP", "crv": "Ed25519", "x": part(32, 32) }),
        _ => return,
    };
    assert!(Key::jwks(json!({ "keys": [key] }).to_string()).is_ok(), "{pem}");
}

/// The first line is a query, the others are cookies, with a token in each: it passes only if no other has its name, and the
/// upstream sees what is left, without it.
pub(crate) fn credential(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let token = oracle::signed(br#"{"alg":"HS256"}"#, b"{}");
    let uri = format!("/?{query}&token={token}").parse::<Uri>().ok();
    if let Some(uri) = uri.filter(|_| !query.contains('#')) {
        let is_token =
            |parameter: &str| decoded(parameter.split('=').next().unwrap_or_default()) == b"token";
        let passed = passed(&QUERY, uri.clone(), HeaderMap::new());
        assert_eq!(passed.is_some(), !query.split('&').any(is_token), "{uri}");
        if let Some((left, _)) = passed {
            assert_eq!(left.query(), Some(query));
        }
    }
    let mut cookies = HeaderMap::new();
    for line in lines {
        let Ok(line) = HeaderValue::from_bytes(line) else { return };
        cookies.append(COOKIE, line);
    }
    let names = |cookies: &HeaderMap| {
        let lines = cookies.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        // A name alone is no cookie.
        let pairs = pairs.filter(|pair| pair.contains(&b'='));
        let names = pairs.filter_map(|pair| pair.split(|byte| *byte == b'=').next());
        names.map(|name| name.trim_ascii().to_owned()).collect::<Vec<_>>()
    };
    let before = names(&cookies);
    cookies.append(COOKIE, HeaderValue::try_from(format!("id={token}")).expect("a token"));
    let passed = passed(&COOKIES, Uri::default(), cookies);
    assert_eq!(passed.is_some(), !before.iter().any(|name| name == b"id"));
    if let Some((_, left)) = passed {
        assert_eq!(names(&left), before);
    }
}

static QUERY: LazyLock<JwtAuthLayer> =
    LazyLock::new(|| oracle::layer_of(TokenSource::query("token").expect("a name")));
static COOKIES: LazyLock<JwtAuthLayer> =
    LazyLock::new(|| oracle::layer_of(TokenSource::cookie("id").expect("a name")));

/// What the upstream sees of a request, if it does.
fn passed(layer: &JwtAuthLayer, uri: Uri, headers: HeaderMap) -> Option<(Uri, HeaderMap)> {
    let inner = service_fn(|request: Request<()>| {
        let (parts, ()) = request.into_parts();
        let seen = Response::new(Some((parts.uri, parts.headers)));
        std::future::ready(Ok::<_, Infallible>(seen))
    });
    let mut request = Request::new(());
    (*request.uri_mut(), *request.headers_mut()) = (uri, headers);
    let answer = pin!(layer.layer(inner).oneshot(request));
    let Poll::Ready(Ok(response)) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing is waited for");
    };
    response.into_body()
}

/// The name of a parameter, as forms have it.
fn decoded(name: &str) -> Vec<u8> {
    let name = name.replace('+', " ");
    let mut rest = name.as_bytes();
    let mut decoded = Vec::new();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits =
            digits.filter(|it| *first == b'%' && it.bytes().all(|it| it.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*first));
        rest = after.get(if code.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    decoded
}
