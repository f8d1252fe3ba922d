//! What the benches share: a service that costs nothing, and a measure that counts allocations, too.
//!
//! `cargo bench -p portcullis-benches` measures; under `cargo test` each bench runs once and its allocations are checked.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::{BatchSize, Criterion};
use http::{Request, Response};
use tower_service::Service;

/// A service that drops the request and answers `200` at once, with an empty body of type `B`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct NoOp<B = ()>(PhantomData<fn() -> B>);

impl<B> NoOp<B> {
    /// A service that does nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

// Derived, they would ask it of the body, too.
impl<B> Clone for NoOp<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for NoOp<B> {}

impl<ReqBody, B: Default> Service<Request<ReqBody>> for NoOp<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<ReqBody>) -> Self::Future {
        ready(Ok(Response::new(B::default())))
    }
}

/// Polls `service` ready and calls it; both must be done at once.
///
/// # Errors
///
/// The service's own.
///
/// # Panics
///
/// When the service or its response is not ready at the first poll.
pub fn call<S, R>(service: &mut S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready(), "the service is not ready");
    now(service.call(request))
}

/// The output of a future that is ready at once.
///
/// # Panics
///
/// When it is not.
#[expect(clippy::panic, reason = "a bench fails by panicking")]
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is not ready"),
    }
}

/// Measures `run` on what `set_up` makes, and checks that it allocates exactly `allocations` times.
///
/// # Panics
///
/// When the count differs.
pub fn measure<I, O>(
    criterion: &mut Criterion,
    name: &str,
    allocations: u64,
    mut set_up: impl FnMut() -> I,
    mut run: impl FnMut(I) -> O,
) {
    drop(run(set_up())); // whatever is allocated once
    let input = set_up();
    let mut output = None;
    let counted = allocation_counter::measure(|| output = Some(run(input))).count_total;
    drop(output);
    assert_eq!(counted, allocations, "{name}: allocations per call");

    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            &mut set_up,
            |input| black_box(run(black_box(input))),
            BatchSize::SmallInput,
        );
    });
}
