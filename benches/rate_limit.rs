//! Taking of an allowance: of one, of one among many, of several at once; and refusing.

use std::future::Ready;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::request::Parts;
use http::{Request, Uri};
use portcullis_benches::{NoOp, call, measure};
use portcullis_rate_limit::{
    Answer, Demands, Headers, Key, Limit, LimitPolicy, RateLimit, RateLimitLayer, Store, Verdict,
};
use tokio::time::Instant;
use tower_layer::Layer;

/// Its path names the client, so that no allocation but the layer's own is counted.
fn request(uri: &'static str) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static(uri);
    request
}

#[expect(clippy::expect_used, reason = "the quotas are constants")]
fn policy(quota: &str) -> LimitPolicy {
    LimitPolicy::new(quota.parse().expect("a quota"))
}

fn by_path(name: &'static str, policy: LimitPolicy) -> Limit {
    Limit::new(name, policy).key(|parts: &Parts| {
        let last = parts.uri.path().bytes().next_back()?;
        Some(Key::address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))))
    })
}

#[expect(clippy::expect_used, reason = "the limits are constants")]
fn layer<const N: usize>(limits: [Limit; N]) -> RateLimitLayer {
    RateLimitLayer::new(limits).expect("limits")
}

/// Checks a thousand times for one request: what a check is without what a layer is.
#[derive(Clone)]
struct Thousand;

impl Store for Thousand {
    type Future = Ready<Verdict>;

    fn take(&self, demands: Demands<'_>) -> Answer<Self::Future> {
        for _ in 1..1000 {
            let _ = black_box(black_box(demands).take_in_memory());
        }
        Answer::Now(demands.take_in_memory())
    }
}

/// How long two threads take for `iterations` requests each.
fn together(services: [RateLimit<NoOp>; 2], iterations: u64) -> Duration {
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for (mut service, uri) in services.into_iter().zip(["/a", "/b"]) {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..iterations {
                    let _ = call(&mut service, request(uri));
                }
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
}

fn rate_limit(criterion: &mut Criterion) {
    let plenty = || policy("1000000000/s burst 1000000000");
    let mut bare = NoOp::<()>::new();
    measure(criterion, "rate-limit: no layer", 0, || request("/a"), |it| call(&mut bare, it));

    let cases = [
        ("one for all", layer([Limit::new("all", plenty())])),
        ("by key", layer([by_path("key", plenty())])),
        ("four limits", {
            let limit = |name| Limit::new(name, plenty());
            layer([
                limit("all"),
                by_path("client", plenty()),
                by_path("who", plenty()),
                limit("route"),
            ])
        }),
    ];
    for (name, layer) in cases {
        let name = format!("rate-limit: {name}");
        let mut service = layer.layer(NoOp::<()>::new());
        measure(criterion, &name, 0, || request("/a"), |it| call(&mut service, it));
    }

    let mut checks = layer([by_path("key", plenty())]).store(Thousand).layer(NoOp::<()>::new());
    measure(
        criterion,
        "rate-limit: a thousand checks by key",
        0,
        || request("/a"),
        |it| call(&mut checks, it),
    );
    let always = plenty().headers(Headers::Always);
    let mut announced = layer([by_path("key", always)]).layer(NoOp::<()>::new());
    measure(
        criterion,
        "rate-limit: by key, announced",
        6,
        || request("/a"),
        |it| call(&mut announced, it),
    );
    let mut spent = layer([by_path("key", policy("1/h"))]).layer(NoOp::<()>::new());
    measure(criterion, "rate-limit: refused", 13, || request("/a"), |it| call(&mut spent, it));

    for (name, limit) in [
        ("one for all", Limit::new("all", plenty())),
        ("by key", by_path("key", plenty().keys(const { NonZeroUsize::new(4096).unwrap() }))),
    ] {
        let layer = layer([limit]);
        let services = || [layer.layer(NoOp::new()), layer.layer(NoOp::new())];
        criterion.bench_function(&format!("rate-limit: two threads, {name}"), |bencher| {
            bencher.iter_custom(|iterations| together(services(), iterations));
        });
    }
}

criterion_group!(benches, rate_limit);
criterion_main!(benches);
