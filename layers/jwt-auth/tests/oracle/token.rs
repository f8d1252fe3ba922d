//! What a token is, said as slowly and plainly as can be, to compare the layer with.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderName, HeaderValue, Request, Response};
use jsonwebtoken::{Algorithm as Jws, EncodingKey, crypto};
use portcullis_jwt_auth::{
    Algorithm, CacheLimits, Claims, Issuer, JwtAuthLayer, Key, Policy, TokenSource, Unauthorized,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tower::{Layer, ServiceExt, service_fn};

const SECRET: &[u8; 32] = &[7; 32];
const LIMIT: usize = 4096;

/// A layer that trusts [`SECRET`], and remembers nothing.
pub fn layer() -> JwtAuthLayer {
    layer_of(TokenSource::header(HeaderName::from_static("x-token")))
}

/// The same with tokens from somewhere else.
pub fn layer_of(source: TokenSource) -> JwtAuthLayer {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = Key::secret(SECRET, [Algorithm::HS256]).unwrap();
    let policy = Policy::new().sources([source]).max_token_bytes(LIMIT).cache(CacheLimits::off());
    JwtAuthLayer::new(policy, [Issuer::new([key]).expiry_optional()]).unwrap()
}

/// Compares what the layer says of any bytes with what is said here.
pub fn compare(layer: &JwtAuthLayer, text: &[u8]) {
    // Else it is no header, or not this one.
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    if text.is_empty() || text.trim_ascii() != text {
        return;
    }
    let verdict = verdict(layer, value);
    match parse(text) {
        Err(reason) => assert_eq!(verdict.map_err(Unauthorized::reason), Err(reason)),
        Ok(token) => match verdict {
            Ok(claims) => {
                let claims: Map<String, Value> = claims.read().unwrap();
                assert_eq!(claims, token.claims);
                assert!(token.algorithm == "HS256" && signature(&token.message) == token.signature);
            }
            Err(reason) => {
                let reason = reason.reason();
                assert!(!OF_FORM.contains(&reason), "{reason}");
                let signed =
                    token.algorithm == "HS256" && signature(&token.message) == token.signature;
                assert!(!signed || !OF_SIGNATURE.contains(&reason), "{reason}");
            }
        },
    }
}

/// Compares what the layer says of a token that is signed, whatever it says.
pub fn compare_signed(layer: &JwtAuthLayer, header: &[u8], claims: &[u8]) {
    compare(layer, signed(header, claims).as_bytes());
}

/// A token that is signed by [`SECRET`].
pub fn signed(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = signature(message.as_bytes());
    format!("{message}.{}", encode(&signature))
}

const OF_FORM: [&str; 5] = [
    "malformed_credential",
    "token_too_large",
    "malformed_token",
    "unsupported_token",
    "unsupported_algorithm",
];
const OF_SIGNATURE: [&str; 2] = ["unknown_key", "invalid_signature"];

fn verdict(layer: &JwtAuthLayer, token: HeaderValue) -> Result<Claims, Unauthorized> {
    let inner = service_fn(|request: Request<()>| async move {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.extensions().get::<Claims>().unwrap().clone());
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::new(());
    request.headers_mut().insert("x-token", token);
    let answer = pin!(layer.layer(inner).oneshot(request));
    let Poll::Ready(Ok(response)) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing is waited for");
    };
    match response.extensions().get::<Unauthorized>() {
        Some(reason) => Err(*reason),
        None => Ok(response.extensions().get::<Claims>().unwrap().clone()),
    }
}

struct Token {
    algorithm: String,
    claims: Map<String, Value>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

fn parse(text: &[u8]) -> Result<Token, &'static str> {
    let text = str::from_utf8(text).map_err(|_| "malformed_credential")?;
    if !text.chars().all(|it| it.is_ascii_alphanumeric() || "-._~+/=".contains(it)) {
        return Err("malformed_credential");
    }
    if text.len() > LIMIT {
        return Err("token_too_large");
    }
    let segments: Vec<_> = text.split('.').collect();
    let [header, claims, signature] = segments[..] else {
        return Err(if segments.len() == 5 { "unsupported_token" } else { "malformed_token" });
    };

    let header_members = object(header)?;
    let b64 = header_members.get("b64").unwrap_or(&Value::Bool(true));
    if header_members.contains_key("crit") || b64 != &Value::Bool(true) {
        return Err("unsupported_token");
    }
    match header_members.get("cty") {
        Some(Value::String(cty))
            if ["jwt", "application/jwt"].contains(&cty.to_ascii_lowercase().as_str()) =>
        {
            return Err("unsupported_token");
        }
        None | Some(Value::String(_)) => {}
        Some(_) => return Err("malformed_token"),
    }
    let algorithm = match header_members.get("alg") {
        Some(Value::String(algorithm)) => algorithm.clone(),
        _ => return Err("malformed_token"),
    };
    let known = "HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA Ed25519";
    if !known.split(' ').any(|known| known == algorithm) {
        return Err("unsupported_algorithm");
    }
    if header_members.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err("malformed_token");
    }
    Ok(Token {
        algorithm,
        claims: object(claims)?,
        message: format!("{header}.{claims}").into_bytes(),
        signature: decode(signature).ok_or("malformed_token")?,
    })
}

fn object(segment: &str) -> Result<Map<String, Value>, &'static str> {
    let bytes = decode(segment).ok_or("malformed_token")?;
    serde_json::from_slice::<Once>(&bytes).map_err(|_| "malformed_token")?;
    serde_json::from_slice(&bytes).map_err(|_| "malformed_token")
}

fn signature(message: &[u8]) -> Vec<u8> {
    let key = EncodingKey::from_secret(SECRET);
    decode(&crypto::sign(message, &key, Jws::HS256).unwrap()).unwrap()
}

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64url by its bits: whole bytes, and after them fewer than six bits, all of them zero.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for character in text.chars() {
        let value = ALPHABET.find(character)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let (bytes, rest) = bits.split_at(bits.len() / 8 * 8);
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let spelled = rest.len() < 6 && !rest.contains(&true);
    spelled.then(|| bytes.chunks(8).map(byte).collect())
}

fn encode(bytes: &[u8]) -> String {
    let mut bits: Vec<_> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.resize(bits.len().div_ceil(6) * 6, 0);
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
    bits.chunks(6).map(|bits| char::from(ALPHABET.as_bytes()[value(bits)])).collect()
}

/// JSON that says everything once.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = members.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(self)
    }
}
