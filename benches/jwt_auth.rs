//! What a token costs: one that has to be verified, beside `jsonwebtoken::decode` with the same key, which checks `exp` and
//! no more, and beside the signature alone; and one that is remembered, on one thread and on two.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{
    Algorithm as Jws, DecodingKey, EncodingKey, Header, Validation, decode, encode,
};
use portcullis_benches::{NoOp, call, measure};
use portcullis_jwt_auth::{Algorithm, CacheLimits, Issuer, JwtAuth, JwtAuthLayer, Key, Policy};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

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
    // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let claims = json!({ "iss": "https://id.example", "sub": "alice", "exp": 9_999_999_999_u64, "role": "ops" });
    for Case { name, jws, signs, key, rival, allocations: [ours, theirs] } in cases() {
        let token = encode(&Header::new(jws), &claims, &signs).unwrap();
        let bearer = format!("Bearer {token}");
        let issuer = Issuer::new([key]).issuer("https://id.example");
        let policy = Policy::new().cache(CacheLimits::off());
        let mut service = JwtAuthLayer::new(policy, [issuer]).unwrap().layer(NoOp::<()>::new());
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

        // What the crypto library alone takes, of which there is no less.
        let (message, signature) = token.rsplit_once('.').unwrap();
        criterion.bench_function(&format!("jwt_auth/{name}_signature"), |bencher| {
            bencher.iter(|| assert!(verify(signature, message.as_bytes(), &rival, jws).unwrap()));
        });
    }
}

fn service(limits: CacheLimits) -> JwtAuth<NoOp<()>> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256]).unwrap()]);
    JwtAuthLayer::new(Policy::new().cache(limits), [issuer]).unwrap().layer(NoOp::<()>::new())
}

fn token(subject: &str) -> String {
    let claims = json!({ "iss": "https://id.example", "sub": subject, "exp": 9_999_999_999_u64, "role": "ops" });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

/// A request as a server makes it, which has extensions.
fn request(bearer: &str) -> Request<()> {
    let request = Request::builder().header("authorization", bearer).extension("a server's");
    request.body(()).unwrap()
}

/// Each token comes once in a thousand requests, and fifty are remembered: all are verified, and one is forgotten for it.
fn missed(criterion: &mut Criterion) {
    let tokens: Vec<_> = (0..1000).map(|n| token(&format!("user-{n}"))).collect();
    let bearers: Vec<_> = tokens.iter().map(|token| format!("Bearer {token}")).collect();
    let mut service = service(CacheLimits::new().max_entries(50));
    let mut next = bearers.iter().cycle();
    criterion.bench_function("jwt_auth/miss", |bencher| {
        bencher.iter(|| call(&mut service, request(next.next().unwrap())).unwrap());
    });

    // It gets a request to look at, too.
    let (key, validation) = (DecodingKey::from_secret(SECRET), Validation::new(Jws::HS256));
    let mut next = tokens.iter().zip(&bearers).cycle();
    criterion.bench_function("jwt_auth/miss_jsonwebtoken", |bencher| {
        bencher.iter(|| {
            let (token, bearer) = next.next().unwrap();
            drop(black_box(request(bearer)));
            decode::<Value>(token, &key, &validation).unwrap()
        });
    });
}

fn hit(criterion: &mut Criterion) {
    let bearers = ["alice", "bob"].map(|subject| format!("Bearer {}", token(subject)));
    let [alice, bob] = &bearers;
    let mut known = service(CacheLimits::new());
    let allocations = |run: &mut dyn FnMut(Request<()>) -> Response<()>| {
        drop(run(request(alice))); // whatever is allocated once
        let input = request(alice);
        allocation_counter::measure(|| drop(black_box(run(input)))).count_total
    };
    assert_eq!(allocations(&mut |request| call(&mut known, request).unwrap()), 1);

    // Without the time of making requests. `nothing` is what the bench and dropping a request take, and not of a hit.
    let mut nothing = NoOp::<()>::new();
    let mut one = |name: &str, run: &mut dyn FnMut(Request<()>) -> Response<()>| {
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(|| request(alice), &mut *run, BatchSize::NumIterations(64));
        });
    };
    one("jwt_auth/nothing", &mut |request| call(&mut nothing, request).unwrap());
    one("jwt_auth/hit", &mut |request| call(&mut known, request).unwrap());

    // The time of one request on each thread, with that of making it, which is all that `bare` does.
    let bare = NoOp::<()>::new();
    for (name, bearers) in [
        ("one_thread", &[alice][..]),
        ("two_threads_two_tokens", &[alice, bob]),
        ("two_threads_one_token", &[alice, alice]),
    ] {
        criterion.bench_function(&format!("jwt_auth/bare_{name}"), |bencher| {
            bencher.iter_custom(|requests| threads(&bare, bearers, requests));
        });
        criterion.bench_function(&format!("jwt_auth/hit_{name}"), |bencher| {
            bencher.iter_custom(|requests| threads(&known, bearers, requests));
        });
    }
}

/// How long it takes threads, one for each token, to have that many requests answered each.
fn threads<S>(service: &S, bearers: &[&String], requests: u64) -> Duration
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone + Send,
{
    let start = Instant::now();
    thread::scope(|scope| {
        for bearer in bearers {
            let mut service = service.clone();
            scope.spawn(move || {
                for _ in 0..requests {
                    black_box(call(&mut service, request(bearer)).unwrap());
                }
            });
        }
    });
    start.elapsed()
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
    let layer = JwtAuthLayer::new(Policy::new().cache(CacheLimits::off()), [issuer]).unwrap();
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

criterion_group!(benches, valid, missed, hit, refused, remote);
criterion_main!(benches);
