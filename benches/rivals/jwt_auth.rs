//! One token each of the usual algorithms, with a key that is given: by our layer with and without its memory, by
//! jwt-authorizer's, and by `jsonwebtoken::decode` of the release that each of the two builds on.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::convert::Infallible;

use axum::body::Body;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use jsonwebtoken::{Algorithm as Jws, DecodingKey, EncodingKey, Header, Validation, encode};
use jwt_authorizer::layer::AuthorizationLayer;
use jwt_authorizer::{IntoLayer, JwtAuthorizer};
use portcullis_benches::{NoOp, call, measure, now};
use portcullis_jwt_auth::{Algorithm, CacheLimits, Issuer, JwtAuthLayer, Key, Policy};
use portcullis_rivals::threads;
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

const SECRET: &str = "thirty-two bytes, or it is refused";
const ISSUER: &str = "https://id.example";

struct Case {
    name: &'static str,
    signs: EncodingKey,
    ours: Key,
    theirs: JwtAuthorizer<Value>,
    /// Of release 11, on which ours builds, and of release 9, on which jwt-authorizer does.
    bare: (Jws, DecodingKey),
    bare_9: (jsonwebtoken_9::Algorithm, jsonwebtoken_9::DecodingKey),
    /// Of our layer without its memory, of jwt-authorizer's, and of the two releases.
    allocations: [u64; 4],
}

fn cases() -> [Case; 3] {
    let rsa = include_str!("../../layers/jwt-auth/tests/keys/rsa.pem");
    let rsa_der = include_bytes!("../../layers/jwt-auth/tests/keys/rsa.der");
    let p256 = include_str!("../../layers/jwt-auth/tests/keys/p256.pem");
    let p256_der = include_bytes!("../../layers/jwt-auth/tests/keys/p256.der");
    [
        Case {
            name: "hs256",
            signs: EncodingKey::from_secret(SECRET.as_ref()),
            ours: Key::secret(SECRET, [Algorithm::HS256]).unwrap(),
            theirs: JwtAuthorizer::from_secret(SECRET),
            bare: (Jws::HS256, DecodingKey::from_secret(SECRET.as_ref())),
            bare_9: (
                jsonwebtoken_9::Algorithm::HS256,
                jsonwebtoken_9::DecodingKey::from_secret(SECRET.as_ref()),
            ),
            allocations: [19, 30, 16, 14],
        },
        Case {
            name: "rs256",
            signs: EncodingKey::from_rsa_der(rsa_der),
            ours: Key::pem(rsa, [Algorithm::RS256]).unwrap(),
            theirs: JwtAuthorizer::from_rsa_pem_text(rsa),
            bare: (Jws::RS256, DecodingKey::from_rsa_pem(rsa.as_ref()).unwrap()),
            bare_9: (
                jsonwebtoken_9::Algorithm::RS256,
                jsonwebtoken_9::DecodingKey::from_rsa_pem(rsa.as_ref()).unwrap(),
            ),
            allocations: [21, 34, 17, 18],
        },
        Case {
            name: "es256",
            signs: EncodingKey::from_ec_der(p256_der),
            ours: Key::pem(p256, [Algorithm::ES256]).unwrap(),
            theirs: JwtAuthorizer::from_ec_pem_text(p256),
            bare: (Jws::ES256, DecodingKey::from_ec_pem(p256.as_ref()).unwrap()),
            bare_9: (
                jsonwebtoken_9::Algorithm::ES256,
                jsonwebtoken_9::DecodingKey::from_ec_pem(p256.as_ref()).unwrap(),
            ),
            allocations: [20, 29, 17, 13],
        },
    ]
}

fn run(criterion: &mut Criterion) {
    // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let claims = json!({ "iss": ISSUER, "sub": "alice", "exp": 9_999_999_999_u64, "role": "ops" });
    for case in cases() {
        let Case { name, signs, ours, theirs, bare: (jws, key), bare_9, allocations } = case;
        let [uncached_count, theirs_count, bare_count, bare_9_count] = allocations;
        let token = encode(&Header::new(jws), &claims, &signs).unwrap();
        let bearer = format!("Bearer {token}");
        // As a server makes it, which has extensions.
        let request = || {
            let request = Request::builder().header("authorization", &bearer);
            request.extension("a server's").body(()).unwrap()
        };

        let ours = |limits| {
            let issuer = Issuer::new([ours.clone()]).issuer(ISSUER);
            let layer = JwtAuthLayer::new(Policy::new().cache(limits), [issuer]).unwrap();
            layer.layer(NoOp::<Body>::new())
        };
        let validation = jwt_authorizer::Validation::new().iss(&[ISSUER]);
        let theirs = now(theirs.validation(validation).build()).unwrap();
        let theirs: AuthorizationLayer<Value> = theirs.into_layer();
        let theirs = theirs.layer(NoOp::<Body>::new());
        let cached = ours(CacheLimits::new());
        let uncached = ours(CacheLimits::off());
        compare(criterion, &format!("{name}/ours_cached"), &cached, 1, request);
        compare(criterion, &format!("{name}/ours_uncached"), &uncached, uncached_count, request);
        compare(criterion, &format!("{name}/jwt_authorizer"), &theirs, theirs_count, request);

        let mut validation = Validation::new(jws);
        validation.set_issuer(&[ISSUER]);
        measure(
            criterion,
            &format!("jwt_auth/{name}/jsonwebtoken_11"),
            bare_count,
            || (),
            |()| jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap(),
        );
        let (jws, key) = bare_9;
        let mut validation = jsonwebtoken_9::Validation::new(jws);
        validation.set_issuer(&[ISSUER]);
        measure(
            criterion,
            &format!("jwt_auth/{name}/jsonwebtoken_9"),
            bare_9_count,
            || (),
            |()| jsonwebtoken_9::decode::<Value>(&token, &key, &validation).unwrap(),
        );
    }
}

/// One request alone, without the time of making it; then one on each of one and two threads, with it.
fn compare<S>(
    criterion: &mut Criterion,
    name: &str,
    service: &S,
    allocations: u64,
    request: impl Fn() -> Request<()> + Copy + Sync,
) where
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible> + Clone + Send,
{
    let mut alone = service.clone();
    assert_eq!(call(&mut alone, request()).unwrap().status(), StatusCode::OK, "{name}");
    assert_eq!(
        call(&mut alone, Request::new(())).unwrap().status(),
        StatusCode::UNAUTHORIZED,
        "{name}"
    );
    measure(criterion, &format!("jwt_auth/{name}"), allocations, request, |request| {
        call(&mut alone, request).unwrap()
    });
    for count in [1, 2] {
        criterion.bench_function(&format!("jwt_auth/{name}/threads_{count}"), |bencher| {
            let requests = vec![request; count];
            bencher.iter_custom(|rounds| threads(service, &requests, rounds));
        });
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
