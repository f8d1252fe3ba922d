//! What each layer costs over a service that does nothing: time, allocations and instructions; and its rival beside it.
//!
//! `overhead --count` takes each of them through a thousand requests, for `overhead.py` to count below valgrind; `--time` tells
//! what each adds to the nanoseconds of nothing.
#![expect(
    clippy::expect_used,
    reason = "a bench fails by panicking, and what it builds is constant"
)]
#![expect(clippy::print_stdout, reason = "who counts reads in what order")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use criterion::Criterion;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body_util::Empty;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use portcullis_benches::{NoOp, call, measure};
use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy};
use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy};
use portcullis_drain::DrainLayer;
use portcullis_forwarded::{ForwardedLayer, ForwardedPolicy, Peer, ViaLayer};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule};
use portcullis_host_strip::{
    ClientHost, ClientHostLayer, HopByHop, HopByHopLayer, HostPolicy, HostStripLayer,
};
use portcullis_jwt_auth::{Algorithm, Issuer, JwtAuthLayer, Key, Policy};
use portcullis_rate_limit::{self as rate_limit, Limit, LimitPolicy, RateLimitLayer};
use portcullis_replica_failover::{FailoverPolicy, Replica, ReplicaFailoverLayer};
use portcullis_request_guard::{self as request_guard, Paths, RequestGuardLayer};
use portcullis_request_id::{RequestIdLayer, RequestIdPolicy};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::retry::{self, RetryLayer};
use tower::service_fn;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::request::SetMultipleRequestHeadersLayer;
use tower_layer::Layer;
use tower_service::Service;

type Asked = Request<Empty<Bytes>>;
type Answered = Response<Empty<Bytes>>;

/// A layer over nothing, or a rival, what it is asked, and how often it allocates for that.
struct Case {
    name: &'static str,
    allocations: u64,
    request: Asked,
    serve: Box<dyn FnMut(Asked)>,
}

impl Case {
    fn new<S>(name: &'static str, allocations: u64, mut service: S) -> Self
    where
        S: Service<Asked, Error: Debug> + 'static,
    {
        let serve = Box::new(move |request| {
            let response = call(&mut service, black_box(request));
            drop(black_box(response.expect("an answer")));
        });
        Self { name, allocations, request: request(), serve }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().expect("a value"));
        self
    }
}

/// A clone with room for more headers, which a clone alone has not.
fn again(request: &Asked) -> Asked {
    let mut request = request.clone();
    request.headers_mut().reserve(ROOM);
    request
}

/// As browsers send them and hyper hands them on, with a map of extensions.
fn request() -> Asked {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    request.extensions_mut().insert(());
    for (name, value) in SENT {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

const NOTHING: NoOp<Empty<Bytes>> = NoOp::new();

fn cases() -> Vec<Case> {
    let clock = service_fn(|_: Asked| {
        black_box(Instant::now());
        ready(Ok::<_, Infallible>(Answered::default()))
    });
    let extension = service_fn(|mut request: Asked| {
        request.extensions_mut().insert(Peer::unix());
        ready(Ok::<_, Infallible>(Answered::default()))
    });
    // Of what layers may need, the time and an extension are beyond what they can make cheaper.
    let mut cases = vec![
        Case::new("no layer", 0, NOTHING),
        Case::new("the clock", 0, clock),
        Case::new("an extension", 1, extension),
    ];
    cases.extend(at_the_edge());
    cases.extend(of_a_route());
    cases.extend(of_a_replica());
    cases
}

fn at_the_edge() -> Vec<Case> {
    let peer = |_: &Parts| Some(Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let forwarded = ForwardedLayer::new(ForwardedPolicy::new(), peer);
    let request_id = RequestIdLayer::new(RequestIdPolicy::new()).in_span();
    let rival = SetRequestIdLayer::x_request_id(MakeRequestUuid);
    let rival = rival.layer(PropagateRequestIdLayer::x_request_id().layer(NOTHING));
    let ceilings = request_guard::Policy::ceilings().max_body(1 << 20);
    vec![
        Case::new("forwarded", 1, forwarded.layer(NOTHING)),
        Case::new("forwarded, and told", 2, forwarded.layer(forwarded.tell().layer(NOTHING))),
        Case::new("request-id", 7, request_id.layer(NOTHING)),
        Case::new("request-id: tower-http's", 9, rival),
        Case::new("drain", 0, DrainLayer::default().layer(NOTHING)),
        Case::new(
            "host-strip: client host",
            0,
            ClientHostLayer::new(ClientHost::default()).layer(NOTHING),
        ),
        Case::new(
            "host-strip: hop by hop",
            0,
            HopByHopLayer::new(HopByHop::default()).layer(NOTHING),
        ),
        Case::new("request-guard: ceilings", 0, RequestGuardLayer::new(ceilings).layer(NOTHING)),
        Case::new(
            "request-guard: tower-http's",
            0,
            RequestBodyLimitLayer::new(1 << 20).layer(NOTHING),
        ),
        Case::new("via", 0, ViaLayer::new("gateway".parse().expect("a name")).layer(NOTHING)),
    ]
}

fn of_a_route() -> Vec<Case> {
    const HUNDRED: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
    let policy =
        request_guard::Policy::new().methods([Method::GET, Method::HEAD]).paths(Paths::strict());
    let plenty = LimitPolicy::new("1000000000/s burst 1000000000".parse().expect("a quota"));
    let key = |_: &Parts| Some(rate_limit::Key::address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let limit = RateLimitLayer::new([Limit::new("address", plenty).key(key)]).expect("a limit");
    let places = ConcurrencyLimitLayer::new("bench", ConcurrencyPolicy::fixed(HUNDRED));
    let rules = SET.map(|(name, value)| Rule::set(name, HeaderValue::from_static(value)));
    let rules = HeaderInject::new().request(HeaderRules::new(rules).expect("rules"));
    let inject = HeaderInjectLayer::new(rules).expect("rules");
    let metadata = SET.map(|(name, value)| (name, HeaderValue::from_static(value)).into());
    let rival = SetMultipleRequestHeadersLayer::overriding(metadata.into());
    let mut cases = vec![
        Case::new(
            "request-guard: methods and paths",
            0,
            RequestGuardLayer::new(policy).layer(NOTHING),
        ),
        Case::new("rate-limit", 0, limit.layer(NOTHING)),
        Case::new("concurrency-limit", 0, places.layer(NOTHING)),
        Case::new(
            "concurrency-limit: tower's",
            0,
            tower::limit::ConcurrencyLimitLayer::new(100).layer(NOTHING),
        ),
        Case::new("header-inject", 0, inject.layer(NOTHING)),
        Case::new("header-inject: tower-http's", 0, rival.layer(NOTHING)),
    ];
    cases.extend(jwt());
    cases
}

fn of_a_replica() -> Vec<Case> {
    let failover = ReplicaFailoverLayer::new(FailoverPolicy::new());
    let one = failover.layer(vec![Replica::new("a", NOTHING)]);
    let failover = failover.layer(["a", "b"].map(|name| Replica::new(name, NOTHING)).into());
    let breaker = CircuitBreakerLayer::new("bench", CircuitBreakerPolicy::default());
    vec![
        Case::new("replica-failover", 3, failover),
        Case::new("replica-failover, one replica", 0, one),
        Case::new("replica-failover: tower's retry", 4, RetryLayer::new(Again).layer(NOTHING)),
        Case::new("circuit-breaker", 0, breaker.layer(NOTHING)),
        Case::new(
            "host-strip: the upstream's host",
            0,
            HostStripLayer::new(HostPolicy::Strip).layer(NOTHING),
        ),
    ]
}

/// A token that has been seen before; jsonwebtoken remembers none.
fn jwt() -> [Case; 2] {
    // Where another crate brings jsonwebtoken's other backend along, it does not choose by itself.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let claims = json!({ "sub": "alice", "exp": 9_999_999_999_u64 });
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET));
    let bearer = format!("Bearer {}", token.expect("a token"));
    let key = Key::secret(SECRET, [Algorithm::HS256]).expect("a key");
    let layer = JwtAuthLayer::new(Policy::new(), [Issuer::new([key])]).expect("an issuer");
    let (key, validation) = (DecodingKey::from_secret(SECRET), Validation::default());
    let rival = service_fn(move |request: Asked| {
        let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = sent.and_then(|sent| sent.strip_prefix("Bearer ")).expect("a token");
        black_box(decode::<Value>(token, &key, &validation).expect("a valid one"));
        ready(Ok::<_, Infallible>(Answered::default()))
    });
    [
        Case::new("jwt-auth, seen before", 1, layer.layer(NOTHING)).with(AUTHORIZATION, &bearer),
        Case::new("jwt-auth: jsonwebtoken's", 12, rival).with(AUTHORIZATION, &bearer),
    ]
}

/// Sends what failed once more.
#[derive(Clone, Copy)]
struct Again;

impl retry::Policy<Asked, Answered, Infallible> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Asked,
        result: &mut Result<Answered, Infallible>,
    ) -> Option<Self::Future> {
        let failed = result.as_ref().is_ok_and(|answer| answer.status().is_server_error());
        failed.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Asked) -> Option<Asked> {
        Some(request.clone())
    }
}

/// Valgrind counts what happens in here.
#[inline(never)]
fn counted(serve: &mut dyn FnMut(Asked), requests: Vec<Asked>) {
    requests.into_iter().for_each(serve);
}

fn count(case: Case) {
    let Case { name, request, mut serve, .. } = case;
    serve(again(&request)); // whatever is done once
    let requests = std::iter::repeat_with(|| again(&request)).take(COUNTED);
    counted(&mut serve, requests.collect());
    println!("{name}");
}

/// Measures all of them by turns, in moments so short that some of them are nobody else's, and tells the best of each.
fn time(mut cases: Vec<Case>) {
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..ROUNDS {
        for (Case { request, serve, .. }, best) in cases.iter_mut().zip(&mut best) {
            let requests: Vec<_> =
                std::iter::repeat_with(|| again(request)).take(AT_ONCE).collect();
            let begin = Instant::now();
            requests.into_iter().for_each(serve);
            *best = begin.elapsed().min(*best);
        }
    }
    let nothing = best.first().copied().unwrap_or_default();
    for (case, best) in cases.iter().zip(best).skip(1) {
        let nanos = best.saturating_sub(nothing).as_nanos() / AT_ONCE as u128;
        println!("{:40}{nanos:8}", case.name);
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let cases = cases();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--count"] => cases.into_iter().for_each(count),
        ["--count", name] => cases.into_iter().filter(|case| case.name == *name).for_each(count),
        ["--time"] => time(cases),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            for Case { name, allocations, request, serve } in cases {
                let name = format!("overhead: {name}");
                measure(&mut criterion, &name, allocations, || again(&request), serve);
            }
            criterion.final_summary();
        }
    }
}

const ROUNDS: usize = 2000;

const AT_ONCE: usize = 50;

const COUNTED: usize = 1000;

/// How many headers fit in without another allocation.
const ROOM: usize = 16;

const SECRET: &[u8] = &[7; 32];

const SENT: [(&str, &str); 10] = [
    ("host", "api.example"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://app.example/items"),
    ("cookie", "session=3f2a0c9e"),
    ("x-trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("sec-fetch-mode", "navigate"),
    ("priority", "u=0, i"),
];

const SET: [(HeaderName, &str); 4] = [
    (HeaderName::from_static("x-feature"), "on"),
    (HeaderName::from_static("x-tenant"), "acme"),
    (HeaderName::from_static("x-region"), "eu-central-1"),
    (HeaderName::from_static("x-stage"), "live"),
];
