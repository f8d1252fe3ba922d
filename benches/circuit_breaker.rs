//! A call through a closed circuit, by what it counts and measures, and beside another thread; a refused one.

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use portcullis_benches::{NoOp, call, measure, now};
use portcullis_circuit_breaker::{
    CircuitBreaker, CircuitBreakerLayer, CircuitBreakerPolicy, InvalidPolicy,
    KeyedCircuitBreakerLayer, Rate, SlowCalls, Until, Window,
};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// A body of one frame, which has to be polled to its end.
#[derive(Clone, Copy, Default)]
struct Word {
    said: bool,
}

impl Body for Word {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let said = std::mem::replace(&mut self.said, true);
        Poll::Ready((!said).then(|| Ok(Frame::data(Bytes::from_static(b"word")))))
    }

    fn is_end_stream(&self) -> bool {
        self.said
    }
}

fn request() -> Request<()> {
    Request::new(())
}

/// One request, to the last byte of its response.
fn serve<S, B>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body + Unpin,
{
    let Ok(response) = call(service, request);
    let mut body = response.into_body();
    drop(now(body.frame()));
}

/// A closed circuit with a full window.
fn closed(policy: CircuitBreakerPolicy) -> CircuitBreaker<NoOp<Word>> {
    let mut service = CircuitBreakerLayer::new("bench", policy).layer(NoOp::new());
    for _ in 0..100_000 {
        serve(&mut service, request());
    }
    service
}

/// How long two threads take for `iterations` requests each.
fn together(services: [CircuitBreaker<NoOp<Word>>; 2], iterations: u64) -> Duration {
    let start = Arc::new(Barrier::new(3));
    let workers = services.map(|mut service| {
        let start = start.clone();
        thread::spawn(move || {
            start.wait();
            for _ in 0..iterations {
                serve(&mut service, black_box(request()));
            }
        })
    });

    start.wait();
    let begin = Instant::now();
    for worker in workers {
        assert!(worker.join().is_ok());
    }
    begin.elapsed()
}

fn circuit_breaker(criterion: &mut Criterion) -> Result<(), InvalidPolicy> {
    let policy = CircuitBreakerPolicy::new;
    let slow = || SlowCalls::new(Duration::from_secs(1), Rate::percent(50));
    let mut bare = NoOp::<Word>::new();
    measure(criterion, "circuit-breaker: no layer", 0, request, |it| serve(&mut bare, it));

    let cases = [
        ("the last call", policy().window(Window::calls(1, 1)?)),
        ("the last 100 calls", policy().window(Window::calls(100, 10)?)),
        ("the last 100,000 calls", policy().window(Window::calls(100_000, 10)?)),
        ("the last 30 s", policy()),
        (
            "the last 100 calls, to the last byte",
            policy().window(Window::calls(100, 10)?).record_at(Until::LastByte),
        ),
        (
            "the last 100 calls, slow ones, too",
            policy().window(Window::calls(100, 10)?).slow_calls(slow()?),
        ),
        ("the last 30 s, slow ones, too", policy().slow_calls(slow()?)),
        (
            "the last 30 s, slow ones, too, to the last byte",
            policy().slow_calls(slow()?.until(Until::LastByte)),
        ),
    ];
    for (name, policy) in cases {
        let name = format!("circuit-breaker: {name}");
        let mut service = closed(policy);
        measure(criterion, &name, 0, request, |request| serve(&mut service, request));
    }

    let key = |parts: &Parts| Some(parts.uri.path().len());
    let most = const { NonZeroUsize::new(1024).unwrap() };
    let mut keyed =
        KeyedCircuitBreakerLayer::new("bench", policy(), key, most).layer(NoOp::<Word>::new());
    measure(criterion, "circuit-breaker: by key", 0, request, |request| serve(&mut keyed, request));

    let layer = CircuitBreakerLayer::new("bench", policy());
    let circuit = layer.handle();
    measure(
        criterion,
        "circuit-breaker: to ask whether it admits",
        0,
        || (),
        |()| circuit.admits(),
    );
    circuit.force_open();
    let mut open = layer.layer(NoOp::<Word>::new());
    measure(criterion, "circuit-breaker: refused", 4, request, |request| serve(&mut open, request));

    for (name, policy) in [
        ("the last 100 calls", policy().window(Window::calls(100, 10)?)),
        ("the last 30 s", policy()),
    ] {
        let layer = CircuitBreakerLayer::new("bench", policy);
        let services = || [layer.layer(NoOp::new()), layer.layer(NoOp::new())];
        criterion.bench_function(&format!("circuit-breaker: two threads, {name}"), |bencher| {
            bencher.iter_custom(|iterations| together(services(), iterations));
        });
    }
    Ok(())
}

#[expect(clippy::expect_used, reason = "the policies are constants")]
fn all(criterion: &mut Criterion) {
    circuit_breaker(criterion).expect("a policy makes sense");
}

criterion_group!(benches, all);
criterion_main!(benches);
