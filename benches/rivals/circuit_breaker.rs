//! A call through a closed circuit: by our layer, by tower-resilience's, and by failsafe's state machine, which is no layer
//! and is given the call as a closure.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::future::Future;
use std::hint::{black_box, spin_loop};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use failsafe::{CircuitBreaker, Config, backoff, failure_policy};
use http::{Request, Response};
use http_body_util::Empty;
use portcullis_benches::{NoOp, call, measure};
use portcullis_circuit_breaker::{
    CircuitBreakerLayer, CircuitBreakerPolicy, Rate, SlowCalls, Window,
};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_resilience_circuitbreaker::{self as resilience, SlidingWindowType};
use tower_service::Service;

type Inner = NoOp<Empty<&'static [u8]>>;

/// Of a window of time, in which tower-resilience looks through all calls.
const CALLS: u32 = 10_000;
const TIME: Duration = Duration::from_secs(3600);

fn request() -> Request<()> {
    Request::new(())
}

/// Calls `service`, and polls until it is done: tower-resilience waits for a lock that another thread may hold.
fn ask<S, B>(service: &mut S, request: Request<()>) -> Response<B>
where
    S: Service<Request<()>, Response = Response<B>, Error: std::fmt::Debug>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut response = pin!(service.call(request));
    loop {
        if let Poll::Ready(response) = response.as_mut().poll(&mut cx) {
            return response.unwrap();
        }
        spin_loop();
    }
}

/// A worker that makes a call by `service`, and has made as many as the window is to hold.
fn filled<S, B>(mut service: S) -> impl FnMut(Request<()>) -> Response<B> + Clone
where
    S: Service<Request<()>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
{
    for _ in 0..CALLS {
        ask(&mut service, request());
    }
    move |request| ask(&mut service, request)
}

/// How long it takes two threads to have `rounds` calls made each.
fn together<O>(worker: &(impl FnMut(Request<()>) -> O + Clone + Send), rounds: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            let mut worker = worker.clone();
            scope.spawn(move || (0..rounds).for_each(|_| drop(black_box(worker(request())))));
        }
    });
    start.elapsed()
}

fn compare<O>(
    criterion: &mut Criterion,
    name: &str,
    allocations: u64,
    mut worker: impl FnMut(Request<()>) -> O + Clone + Send,
) {
    let threads = worker.clone();
    measure(criterion, &format!("circuit_breaker/{name}"), allocations, request, |request| {
        worker(request)
    });
    criterion.bench_function(&format!("circuit_breaker/{name}/threads_2"), |bencher| {
        bencher.iter_custom(|rounds| together(&threads, rounds));
    });
}

fn ours(criterion: &mut Criterion) {
    let slow = SlowCalls::new(Duration::from_secs(1), Rate::percent(50)).unwrap();
    let policy = CircuitBreakerPolicy::new;
    let cases = [
        ("count", policy().window(Window::calls(100, 20).unwrap())),
        ("count_slow", policy().window(Window::calls(100, 20).unwrap()).slow_calls(slow.clone())),
        ("time", policy().window(Window::time(TIME, 20).unwrap())),
        ("time_slow", policy().window(Window::time(TIME, 20).unwrap()).slow_calls(slow)),
    ];
    for (name, policy) in cases {
        let service = CircuitBreakerLayer::new("bench", policy).layer(Inner::new());
        compare(criterion, &format!("ours/{name}"), 0, filled(service));
    }
}

fn tower_resilience(criterion: &mut Criterion) {
    let builder = || {
        resilience::CircuitBreakerLayer::builder()
            .failure_rate_threshold(0.5)
            .minimum_number_of_calls(20)
    };
    let count =
        || builder().sliding_window_type(SlidingWindowType::CountBased).sliding_window_size(100);
    let time = || {
        builder().sliding_window_type(SlidingWindowType::TimeBased).sliding_window_duration(TIME)
    };
    let slow = Duration::from_secs(1);
    let cases = [
        ("count", count().build().unwrap()),
        ("count_slow", count().slow_call_duration_threshold(slow).build().unwrap()),
        ("time", time().build().unwrap()),
    ];
    for (name, layer) in cases {
        compare(
            criterion,
            &format!("tower_resilience/{name}"),
            3,
            filled(layer.layer(Inner::new())),
        );
    }
}

fn failsafe(criterion: &mut Criterion) {
    let backoff = || backoff::equal_jittered(Duration::from_secs(5), Duration::from_secs(60));
    let rate = failure_policy::success_rate_over_time_window(0.5, 20, TIME, backoff());
    let row = failure_policy::consecutive_failures(5, backoff());
    let (rate, row) =
        (Config::new().failure_policy(rate).build(), Config::new().failure_policy(row).build());
    let mut inner = Inner::new();
    compare(criterion, "failsafe/time", 0, {
        let rate = rate.clone();
        move |request| rate.call(|| call(&mut inner, request)).unwrap()
    });
    compare(criterion, "failsafe/consecutive", 0, {
        let row = row.clone();
        move |request| row.call(|| call(&mut inner, request)).unwrap()
    });
}

fn run(criterion: &mut Criterion) {
    compare(criterion, "no_layer", 0, filled(Inner::new()));
    ours(criterion);
    tower_resilience(criterion);
    failsafe(criterion);
}

criterion_group!(benches, run);
criterion_main!(benches);
