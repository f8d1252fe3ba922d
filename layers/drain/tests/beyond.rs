//! What is more than a request: streams that end themselves, tunnels, tasks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use portcullis_drain::{
    Deadlines, DrainHandle, DrainLayer, DrainSignal, Kind, Phase, TunnelInFlight,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, advance};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::{Layer, Service, service_fn};

/// A body of what is sent to it.
#[derive(Debug)]
struct Events(mpsc::UnboundedReceiver<&'static str>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(5);
        hint.set_upper(9);
        hint
    }
}

fn set_up(linger: u64, deadline: u64) -> (DrainLayer, DrainHandle) {
    let [linger, deadline] = [linger, deadline].map(Duration::from_secs);
    let layer = DrainLayer::new(Deadlines::new(linger, deadline).unwrap());
    let handle = layer.handle();
    (layer, handle)
}

/// Puts a response to `request` of this status through `layer`.
async fn answer(layer: &DrainLayer, request: Request<()>, status: StatusCode) -> Response<()> {
    let inner = move |_: Request<()>| {
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = status;
        ready(Ok::<_, Infallible>(response))
    };
    layer.layer(service_fn(inner)).call(request).await.unwrap().map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_ends_well_when_the_server_drains_and_not_while_it_lingers() {
    let (layer, handle) = set_up(5, 30);
    let (events, received) = mpsc::unbounded_channel();
    let mut body = handle.signal().end_on_drain(Events(received));
    let mut drain = spawn(handle.drain());

    assert_pending!(drain.poll());
    events.send("one").unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    let mut rest = spawn(body.frame());
    assert_pending!(rest.poll());
    advance(Duration::from_secs(5)).await;
    assert_ready!(drain.poll());

    assert!(rest.is_woken());
    assert!(assert_ready!(rest.poll()).is_none());
    drop(rest);
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none(), "an end is for good");
    drop((layer, events));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_always_has_something_ends_too() {
    let (_layer, handle) = set_up(0, 30);
    let (events, received) = mpsc::unbounded_channel();
    let body = handle.signal().end_on_drain(Events(received));
    events.send("one").unwrap();

    handle.drain().await;

    assert_eq!(body.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_known_length_is_not_cut_short() {
    let (_layer, handle) = set_up(0, 30);
    let body = handle.signal().end_on_drain(Full::new(Bytes::from("last words")));
    assert_eq!(body.size_hint().exact(), Some(10));

    handle.drain().await;

    assert_eq!(body.collect().await.unwrap().to_bytes(), "last words");
}

#[test]
fn a_body_that_may_end_early_promises_no_least_length() {
    let (_, received) = mpsc::unbounded_channel();

    let hint = DrainLayer::default().handle().signal().end_on_drain(Events(received)).size_hint();

    assert_eq!((hint.lower(), hint.upper()), (0, Some(9)));
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_where_the_layer_is_asked_to() {
    for signals in [false, true] {
        let layer = DrainLayer::new(Deadlines::default());
        let layer = if signals { layer.signal_handlers() } else { layer };
        let (told, mut signal) = mpsc::unbounded_channel();
        let mut service = layer.layer(service_fn(move |request: Request<()>| {
            told.send(request.extensions().get::<DrainSignal>().cloned()).unwrap();
            ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        }));

        service.call(Request::new(())).await.unwrap();

        let signal = signal.recv().await.unwrap();
        assert_eq!(signal.is_some(), signals);
        let Some(signal) = signal else { continue };
        assert_eq!((signal.phase(), signal.deadline()), (Phase::Ready, None));
        let mut draining = spawn(signal.draining());
        assert_pending!(draining.poll());
        let begin = Instant::now();
        layer.handle().drain().await;
        assert_ready!(draining.poll());
        assert_eq!(signal.deadline(), Some(begin + Duration::from_secs(30)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_nobody_can_give_any_more_is_waited_for_in_vain() {
    let (layer, handle) = set_up(0, 30);
    let signal = handle.signal();
    let mut waiting = spawn(signal.draining());
    assert_pending!(waiting.poll());

    drop((layer, handle));

    assert_pending!(waiting.poll());
    assert_pending!(spawn(signal.draining()).poll());
}

#[tokio::test]
async fn a_tunnel_is_in_flight_until_the_last_who_holds_it_lets_go() {
    let (layer, handle) = set_up(0, 30);
    let connect = || Request::builder().method(Method::CONNECT).body(()).unwrap();
    for (request, status) in [
        (Request::new(()), StatusCode::SWITCHING_PROTOCOLS),
        (connect(), StatusCode::OK),
        (connect(), StatusCode::NO_CONTENT),
    ] {
        let response = answer(&layer, request, status).await;
        let tunnel = response.extensions().get::<TunnelInFlight>().unwrap().clone();
        assert_eq!(handle.in_flight(), 1);

        drop(response);
        assert_eq!(handle.in_flight(), 1);
        drop(tunnel);
        assert_eq!(handle.in_flight(), 0);
    }
}

#[tokio::test]
async fn what_is_no_tunnel_holds_nothing_beyond_its_response() {
    let (layer, handle) = set_up(0, 30);
    let connect = Request::builder().method(Method::CONNECT).body(()).unwrap();
    for (request, status) in [(Request::new(()), StatusCode::OK), (connect, StatusCode::FORBIDDEN)]
    {
        let response = answer(&layer, request, status).await;

        assert!(response.extensions().get::<TunnelInFlight>().is_none());
        assert_eq!(handle.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_says_what_was_a_tunnel_and_what_a_task() {
    let (layer, handle) = set_up(0, 30);
    let chat = Request::get("/chat?token=secret").body(()).unwrap();
    let tunnel = answer(&layer, chat, StatusCode::SWITCHING_PROTOCOLS).await;
    let task = handle.track("mailer", pending::<()>());
    advance(Duration::from_secs(2)).await;

    let report = handle.drain().await;

    let said = |kind| {
        let cut = report.cut().iter().find(|cut| cut.kind() == kind).unwrap();
        (cut.method().cloned(), cut.path().to_owned(), cut.age())
    };
    let age = Duration::from_secs(32);
    assert_eq!(said(Kind::Tunnel), (Some(Method::GET), "/chat".to_owned(), age));
    assert_eq!(said(Kind::Task), (None, "mailer".to_owned(), age));
    assert_eq!(report.cut().len(), 2);
    drop((tunnel, task));
    assert_eq!(handle.phase(), Phase::Done);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_waited_for_from_the_moment_it_is_tracked() {
    let (_layer, handle) = set_up(0, 30);
    let (end, ended) = oneshot::channel();
    let mut task = spawn(handle.track("mailer", ended));
    let mut drain = spawn(handle.drain());
    assert_pending!(drain.poll());

    assert_pending!(task.poll());
    end.send("done").unwrap();
    assert_eq!(assert_ready!(task.poll()).unwrap(), "done");

    assert!(drain.is_woken());
    assert_eq!(assert_ready!(drain.poll()).completed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_or_comes_too_late_holds_nothing() {
    let (_layer, handle) = set_up(0, 30);
    drop(handle.track("dropped", pending::<()>()));
    assert_eq!(handle.in_flight(), 0);

    handle.force();
    let late = handle.track("late", ready(7));

    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Done));
    assert_eq!(late.await, 7);
}
