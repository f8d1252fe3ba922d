//! Taking a place and giving it back at the last byte, beside tower's limit, which gives it back at the headers.

use std::convert::Infallible;
use std::future::ready;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use portcullis_benches::{NoOp, call, measure};
use portcullis_concurrency_limit::{
    Adaptive, ConcurrencyLimit, ConcurrencyLimitLayer, ConcurrencyPolicy,
};
use tokio::time::Instant;
use tower::service_fn;
use tower_layer::Layer;

type Inner = NoOp<Full<Bytes>>;

fn request() -> Request<()> {
    Request::new(())
}

/// How long two threads take for `iterations` requests each.
fn together(services: [ConcurrencyLimit<Inner>; 2], iterations: u64) -> Duration {
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for mut service in services {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..iterations {
                    let _ = call(&mut service, request());
                }
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
}

#[expect(clippy::expect_used, reason = "the policies are constants")]
fn concurrency_limit(criterion: &mut Criterion) {
    const HUNDRED: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
    let fixed = || ConcurrencyPolicy::fixed(HUNDRED);
    let adaptive = Adaptive::new(HUNDRED, HUNDRED, Duration::from_secs(1)).expect("bounds");
    let mut bare = Inner::new();
    measure(criterion, "concurrency-limit: no layer", 0, request, |it| call(&mut bare, it));

    for (name, policy) in [("fixed", fixed()), ("adaptive", ConcurrencyPolicy::adaptive(adaptive))]
    {
        let mut service = ConcurrencyLimitLayer::new("bench", policy).layer(Inner::new());
        let name = format!("concurrency-limit: {name}");
        measure(criterion, &name, 0, request, |it| call(&mut service, it));
    }
    let most = const { NonZeroUsize::new(1024).expect("not zero") };
    let layer = ConcurrencyLimitLayer::per_key("bench", fixed().keys(most), |parts| {
        Some(parts.uri.path().len())
    });
    let mut service = layer.layer(Inner::new());
    // A key that comes alone has its limit made for it.
    measure(criterion, "concurrency-limit: by key", 1, request, |it| call(&mut service, it));

    let layer = ConcurrencyLimitLayer::new("bench", ConcurrencyPolicy::fixed(NonZeroU32::MIN));
    let says = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("word"))))
    });
    let mut full = layer.layer(says);
    let _unread = call(&mut full, request());
    measure(criterion, "concurrency-limit: refused", 8, request, |it| call(&mut full, it));

    let mut towers = tower::limit::ConcurrencyLimitLayer::new(100).layer(Inner::new());
    measure(criterion, "concurrency-limit: tower's", 0, request, |it| call(&mut towers, it));

    let layer = ConcurrencyLimitLayer::new("bench", fixed());
    let services = || [layer.layer(Inner::new()), layer.layer(Inner::new())];
    criterion.bench_function("concurrency-limit: two threads", |bencher| {
        bencher.iter_custom(|iterations| together(services(), iterations));
    });
}

criterion_group!(benches, concurrency_limit);
criterion_main!(benches);
