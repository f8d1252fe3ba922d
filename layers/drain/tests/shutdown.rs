//! The phases of a shutdown, and what it reports.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use portcullis_drain::{Cut, Deadlines, Drain, DrainHandle, DrainLayer, InFlight, Phase};
use portcullis_held_body::HeldBody;
use tokio::time::{Instant, advance};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::{Layer, Service, service_fn};

/// A body that ticks for ever, like an event stream.
#[derive(Debug, Default)]
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: tick\n\n")))))
    }
}

type Stream = HeldBody<Endless, InFlight>;

fn deadlines(linger: u64, deadline: u64) -> Deadlines {
    Deadlines::new(seconds(linger), seconds(deadline)).unwrap()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks a new service of `layer` for `request`; an endless body, in flight until it is dropped.
async fn ask(layer: &DrainLayer, request: Request<()>) -> Response<Stream> {
    let inner = |_| ready(Ok::<_, Infallible>(Response::new(Endless)));
    let mut service: Drain<_> = layer.layer(service_fn(inner));
    service.call(request).await.unwrap()
}

async fn stream(layer: &DrainLayer) -> Stream {
    ask(layer, Request::new(())).await.into_body()
}

fn set_up(linger: u64, deadline: u64) -> (DrainLayer, DrainHandle) {
    let layer = DrainLayer::new(deadlines(linger, deadline));
    let handle = layer.handle();
    (layer, handle)
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_that_does_not_linger_is_done_at_once() {
    let (_layer, handle) = set_up(0, 30);
    assert_eq!(handle.phase(), Phase::Ready);

    let report = assert_ready!(spawn(handle.drain()).poll());

    assert_eq!(handle.phase(), Phase::Done);
    assert_eq!((report.completed(), report.cut().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn lingering_lasts_its_whole_time_even_if_nothing_is_in_flight() {
    let (layer, handle) = set_up(5, 30);
    let mut drain = spawn(handle.drain());
    let begin = Instant::now();

    assert_pending!(drain.poll());
    assert_eq!(handle.phase(), Phase::Lingering);
    assert_eq!(ask(&layer, Request::new(())).await.status(), StatusCode::OK);

    let report = drain.await;
    assert_eq!(begin.elapsed(), seconds(5));
    assert_eq!(handle.phase(), Phase::Done);
    assert_eq!(report.completed(), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_serves_on_and_ends_with_the_last_request_and_not_before() {
    let (layer, handle) = set_up(0, 30);
    let first = stream(&layer).await;
    let mut drain = spawn(handle.drain());
    assert_pending!(drain.poll());
    assert_eq!(handle.phase(), Phase::Draining);

    let second = stream(&layer).await;
    drop(first);
    assert_pending!(drain.poll());

    drop(second);
    assert!(drain.is_woken());
    let report = assert_ready!(drain.poll());
    assert_eq!(handle.phase(), Phase::Done);
    assert_eq!((report.completed(), report.cut().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_signal_and_includes_lingering() {
    let (layer, handle) = set_up(10, 30);
    let _stream = stream(&layer).await;
    let begin = Instant::now();

    let report = handle.drain().await;

    assert_eq!(begin.elapsed(), seconds(30));
    assert_eq!(handle.phase(), Phase::Forced);
    assert_eq!(report.cut().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_is_given_up_at_the_deadline_and_named_without_its_query() {
    let (layer, handle) = set_up(0, 30);
    let events = Request::get("https://example.com/events?token=secret").body(()).unwrap();
    let events = ask(&layer, events).await;
    advance(seconds(12)).await;
    let connect = Request::connect("example.com:443").body(()).unwrap();
    let tunnel = ask(&layer, connect).await; // its extensions keep it in flight

    let report = handle.drain().await;

    let method = |cut: &Cut| cut.method().unwrap().to_string();
    let mut cut: Vec<_> =
        report.cut().iter().map(|cut| (method(cut), cut.path(), cut.age())).collect();
    cut.sort_unstable();
    let expected = [("CONNECT", "", seconds(30)), ("GET", "/events", seconds(42))];
    assert_eq!(cut, expected.map(|(method, path, age)| (method.to_owned(), path, age)));
    assert!(!format!("{report:?}").contains("secret"));
    drop((events, tunnel));
}

#[tokio::test(start_paused = true)]
async fn a_forced_shutdown_is_done_when_the_last_stream_is_cut() {
    let (layer, handle) = set_up(0, 30);
    let streams = [stream(&layer).await, stream(&layer).await];
    let report = handle.drain().await;
    let [first, last] = streams;

    drop(first);
    assert_eq!((handle.phase(), handle.in_flight()), (Phase::Forced, 1));
    drop(last);
    assert_eq!((handle.phase(), handle.in_flight()), (Phase::Done, 0));

    // What was cut is not completed afterwards.
    assert_eq!((report.completed(), report.cut().len()), (0, 2));
    assert_eq!(handle.drain().await.cut().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_zero_waits_for_nobody() {
    let (layer, handle) = set_up(0, 0);
    let _stream = stream(&layer).await;

    let report = assert_ready!(spawn(handle.drain()).poll());

    assert_eq!(report.cut().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_time_is_no_panic() {
    let layer = DrainLayer::new(Deadlines::new(seconds(1), Duration::MAX).unwrap());
    let last = stream(&layer).await;
    let handle = layer.handle();
    let mut drain = spawn(handle.drain());
    assert_pending!(drain.poll());
    advance(seconds(1)).await;
    assert_pending!(drain.poll());

    drop(last);

    assert_eq!(assert_ready!(drain.poll()).completed(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_calls_second_waits_for_the_same_end() {
    let (layer, handle) = set_up(0, 30);
    let _stream = stream(&layer).await;
    let begin = Instant::now();
    let second = async {
        tokio::time::sleep(seconds(20)).await;
        handle.drain().await
    };

    let (first, second) = tokio::join!(handle.drain(), second);

    assert_eq!(begin.elapsed(), seconds(30));
    assert_eq!((first.cut().len(), second.cut().len()), (1, 1));
    assert_eq!(first.cut()[0].age(), second.cut()[0].age());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_drain_stays_where_it_is_and_goes_on_from_the_first_signal() {
    let (layer, handle) = set_up(5, 30);
    let _stream = stream(&layer).await;
    let begin = Instant::now();
    assert_pending!(spawn(handle.drain()).poll());

    advance(seconds(20)).await;
    assert_eq!(handle.phase(), Phase::Lingering);

    let report = handle.drain().await;
    assert_eq!(begin.elapsed(), seconds(30));
    assert_eq!(report.cut().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_drain_still_becomes_done() {
    let (layer, handle) = set_up(0, 30);
    let last = stream(&layer).await;
    assert_pending!(spawn(handle.drain()).poll());

    drop(last);

    assert_eq!(handle.phase(), Phase::Done);
    assert_eq!(handle.drain().await.completed(), 1);
}

#[tokio::test(start_paused = true)]
async fn force_ends_the_shutdown_from_any_phase() {
    for waiting in [None, Some(0), Some(5)] {
        let (layer, handle) = set_up(5, 30);
        let _stream = stream(&layer).await;
        let mut drain = spawn(handle.drain());
        if let Some(waiting) = waiting {
            assert_pending!(drain.poll());
            advance(seconds(waiting)).await;
            assert_pending!(drain.poll());
        }

        handle.force();
        handle.force();

        assert_eq!(handle.phase(), Phase::Forced);
        assert_eq!(assert_ready!(drain.poll()).cut().len(), 1);
        assert_eq!(ask(&layer, Request::new(())).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test(start_paused = true)]
async fn force_with_nothing_in_flight_is_done() {
    let (_layer, handle) = set_up(5, 30);
    let mut drain = spawn(handle.drain());
    assert_pending!(drain.poll());

    handle.force();

    assert!(drain.is_woken());
    assert!(assert_ready!(drain.poll()).cut().is_empty());
    assert_eq!(handle.phase(), Phase::Done);
}

#[tokio::test(start_paused = true)]
async fn only_what_ended_since_the_signal_is_completed_in_dropped_services_too() {
    let (layer, handle) = set_up(5, 30);
    drop(stream(&layer).await);
    let before = stream(&layer).await;
    assert_pending!(spawn(handle.drain()).poll());

    drop(before);
    for _ in 0..100 {
        drop(stream(&layer).await);
    }

    assert_eq!(handle.drain().await.completed(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_keeps_up_sees_every_phase_once() {
    let (layer, handle) = set_up(5, 30);
    let mut phases = handle.subscribe();
    let mut next = || phases.has_changed().unwrap().then(|| *phases.borrow_and_update());
    let last = stream(&layer).await;
    let mut drain = spawn(handle.drain());
    assert_eq!(next(), None);

    for (phase, wait) in [(Phase::Lingering, 5), (Phase::Draining, 25)] {
        assert_pending!(drain.poll());
        assert_eq!(next(), Some(phase));
        assert_pending!(spawn(handle.drain()).poll());
        assert_eq!(next(), None);
        advance(seconds(wait)).await;
    }
    assert_ready!(drain.poll());
    assert_eq!(next(), Some(Phase::Forced));
    drop(last);
    assert_eq!(next(), Some(Phase::Done));
}

#[tokio::test(start_paused = true)]
async fn requests_outlive_the_layer_and_its_handles() {
    let (layer, handle) = set_up(0, 30);
    let last = stream(&layer).await;
    assert_pending!(spawn(handle.drain()).poll());

    drop((layer, handle));

    drop(last);
}
