//! What a token costs, beside `jsonwebtoken::decode` with the same key, which checks `exp` and no more.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{
    Algorithm as Jws, DecodingKey, EncodingKey, Header, Validation, decode, encode,
};
use portcullis_benches::{NoOp, call, measure};
use portcullis_jwt_auth::{Algorithm, Issuer, JwtAuthLayer, Key, Policy};
use serde_json::{Value, json};
use tower::service_fn;
use tower_layer::Layer;

const SECRET: &[u8] = &[7; 32];

struct Case {
    name: &'static str,
    jws: Jws,
    signs: EncodingKey,
    key: Key,
    rival: DecodingKey,
    /// Of the layer, and of `jsonwebtoken::decode`.
    allocations: [u64; 2],
}

fn cases() -> [Case; 3] {
    let rsa = include_bytes!("../layers/jwt-auth/tests/keys/rsa.pem");
    let p256 = include_bytes!("../layers/jwt-auth/tests/keys/p256.pem");
    [
        Case {
            name: "hs256",
            jws: Jws::HS256,
            signs: EncodingKey::from_secret(SECRET),
            key: Key::secret(SECRET, [Algorithm::HS256]).unwrap(),
            rival: DecodingKey::from_secret(SECRET),
            allocations: [21, 16],
        },
        Case {
            name: "rs256",
            jws: Jws::RS256,
            signs: EncodingKey::from_rsa_der(include_bytes!(
                "../layers/jwt-auth/tests/keys/rsa.der"
            )),
            key: Key::pem(rsa, [Algorithm::RS256]).unwrap(),
            rival: DecodingKey::from_rsa_pem(rsa).unwrap(),
            allocations: [23, 17],
        },
        Case {
            name: "es256",
            jws: Jws::ES256,
            signs: EncodingKey::from_ec_der(include_bytes!(
                "../layers/jwt-auth/tests/keys/p256.der"
            )),
            key: Key::pem(p256, [Algorithm::ES256]).unwrap(),
            rival: DecodingKey::from_ec_pem(p256).unwrap(),
            allocations: [22, 17],
        },
    ]
}

fn valid(criterion: &mut Criterion) {
    let claims = json!({ "iss": "https://id.example", "sub": "alice", "exp": 9_999_999_999_u64, "role": "ops" });
    for Case { name, jws, signs, key, rival, allocations: [ours, theirs] } in cases() {
        let token = encode(&Header::new(jws), &claims, &signs).unwrap();
        let bearer = format!("Bearer {token}");
        let issuer = Issuer::new([key]).issuer("https://id.example");
        let mut service =
            JwtAuthLayer::new(Policy::new(), [issuer]).unwrap().layer(NoOp::<()>::new());
        let request = || Request::builder().header("authorization", &bearer).body(()).unwrap();
        assert_eq!(call(&mut service, request()).unwrap().status(), StatusCode::OK);
        measure(criterion, &format!("jwt_auth/{name}"), ours, request, |request| {
            call(&mut service, request).unwrap()
        });

        let validation = Validation::new(jws);
        measure(
            criterion,
            &format!("jwt_auth/{name}_jsonwebtoken"),
            theirs,
            || (),
            |()| decode::<Value>(&token, &rival, &validation).unwrap(),
        );
    }
}

fn refused(criterion: &mut Criterion) {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256]).unwrap()]);
    let mut service = JwtAuthLayer::new(Policy::new(), [issuer]).unwrap().layer(NoOp::<()>::new());
    assert_eq!(call(&mut service, Request::new(())).unwrap().status(), StatusCode::UNAUTHORIZED);
    measure(
        criterion,
        "jwt_auth/no_token",
        7,
        || Request::new(()),
        |request| call(&mut service, request).unwrap(),
    );

    let forged = format!("Bearer {}.{}.AAAA", "eyJhbGciOiJub25lIn0", "e30");
    let request = || Request::builder().header("authorization", &forged).body(()).unwrap();
    measure(criterion, "jwt_auth/alg_none", 16, request, |request| {
        call(&mut service, request).unwrap()
    });
}

/// Keys that were asked for cost what given ones do, and a look at the clock.
fn remote(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let key = EncodingKey::from_rsa_der(include_bytes!("../layers/jwt-auth/tests/keys/rsa.der"));
    let jwk = Jwk::from_encoding_key(&key, Jws::RS256).unwrap();
    let set = json!({ "keys": [jwk] }).to_string();
    let client = service_fn(move |_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(set.clone()))))
    });
    let issuer = Issuer::jwks_url("https://id.example/keys", client).unwrap();
    let layer = JwtAuthLayer::new(Policy::new(), [issuer]).unwrap();
    runtime.block_on(layer.handle().refresh_now());

    let claims = json!({ "iss": "https://id.example", "sub": "alice", "exp": 9_999_999_999_u64, "role": "ops" });
    let bearer = format!("Bearer {}", encode(&Header::new(Jws::RS256), &claims, &key).unwrap());
    let mut service = layer.layer(NoOp::<()>::new());
    let request = || Request::builder().header("authorization", &bearer).body(()).unwrap();
    assert_eq!(call(&mut service, request()).unwrap().status(), StatusCode::OK);
    measure(criterion, "jwt_auth/rs256_remote", 23, request, |request| {
        call(&mut service, request).unwrap()
    });
}

criterion_group!(benches, valid, refused, remote);
criterion_main!(benches);
