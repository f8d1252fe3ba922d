//! Counting a request in and out, alone and beside another thread; no rival counts to the last byte.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use portcullis_benches::{NoOp, call, measure, now};
use portcullis_drain::{Drain, DrainLayer};
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
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    request
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
    assert!(body.is_end_stream());
}

/// How long two threads take for `iterations` requests each.
fn together(services: &[Drain<NoOp<Word>>; 2], iterations: u64) -> Duration {
    let start = Arc::new(Barrier::new(3));
    let workers = services.clone().map(|mut service| {
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

fn drain(criterion: &mut Criterion) {
    let layer = DrainLayer::default();
    let mut bare = NoOp::<Word>::new();
    let mut service = layer.layer(bare);
    let apart = [layer.layer(bare), layer.layer(bare)];
    let shared = [service.clone(), service.clone()];

    measure(criterion, "drain: no layer", 0, request, |request| serve(&mut bare, request));
    measure(criterion, "drain: one thread", 0, request, |request| serve(&mut service, request));
    // Extensions are a box of a map of boxes.
    let mut told = layer.clone().signal_handlers().layer(bare);
    measure(criterion, "drain: a signal for each", 3, request, |request| serve(&mut told, request));
    criterion.bench_function("drain: two threads, a service each", |bencher| {
        bencher.iter_custom(|iterations| together(&apart, iterations));
    });
    criterion.bench_function("drain: two threads, clones of one service", |bencher| {
        bencher.iter_custom(|iterations| together(&shared, iterations));
    });
    assert_eq!(layer.handle().in_flight(), 0);
}

criterion_group!(benches, drain);
criterion_main!(benches);
