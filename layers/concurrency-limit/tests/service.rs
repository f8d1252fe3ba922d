//! The contract: who gets a place, for how long, and what the others are told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Full};
use portcullis_concurrency_limit::{
    Adaptive, ConcurrencyLimit, ConcurrencyLimitHandle, ConcurrencyLimitLayer, ConcurrencyPolicy,
    InvalidPolicy, Order, Overloaded, Permit, Queue, ResponseFuture, TunnelPermit, Why,
};
use portcullis_held_body::HeldBody;
use portcullis_refusal::Refused;
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<()>, Response<Full<Bytes>>>;
type Limited = Spawn<ConcurrencyLimit<Inner>>;
type Upstream = mock::Handle<Request<()>, Response<Full<Bytes>>>;

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn fixed(limit: u32) -> ConcurrencyPolicy {
    ConcurrencyPolicy::fixed(number(limit))
}

fn queue(most: u32) -> Queue {
    Queue::new(number(most), Duration::from_secs(1)).unwrap()
}

fn set_up(policy: ConcurrencyPolicy) -> (Limited, Upstream, ConcurrencyLimitHandle) {
    let layer = ConcurrencyLimitLayer::new("test", policy);
    let handle = layer.handle();
    let (service, upstream) = mock::spawn_layer(layer);
    (service, upstream, handle)
}

fn request() -> Request<()> {
    Request::new(())
}

fn why<B>(response: &Response<B>) -> Why {
    response.extensions().get::<Overloaded>().unwrap().why()
}

/// Calls a clone of its own, and polls until it waits for something.
macro_rules! start {
    ($service:expr) => {{
        let mut response = spawn($service.get_ref().clone().oneshot(request()));
        assert_pending!(response.poll());
        response
    }};
}

/// A body that has yet to be sent; the default has been.
#[derive(Debug, Default)]
struct Slow(Option<Channel<Bytes, Infallible>>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }
}

/// A response with such a body, and who sends it.
fn slow() -> (Response<Slow>, Sender<Bytes, Infallible>) {
    let (sender, body) = Channel::new(1);
    (Response::new(Slow(Some(body))), sender)
}

#[tokio::test]
async fn n_is_n_with_slow_bodies_where_towers_own_limit_lets_all_of_them_pass() {
    let (sender, bodies) = std::sync::mpsc::channel();
    let inner = service_fn(move |_: Request<()>| {
        let (response, body) = slow();
        sender.send(body).unwrap();
        async { Ok::<_, ()>(response) }
    });
    let towers = tower::limit::ConcurrencyLimitLayer::new(2).layer(inner.clone());
    let ours = ConcurrencyLimitLayer::new("test", fixed(2)).layer(inner);

    let mut passed = Vec::new();
    for _ in 0..10 {
        passed.push(towers.clone().oneshot(request()).await.unwrap());
    }
    assert_eq!(bodies.try_iter().count(), 10, "all of them are on their way at once");

    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(ours.clone().oneshot(request()).await.unwrap());
    }
    let served = answers.iter().filter(|response| response.status() == 200).count();
    assert_eq!((served, bodies.try_iter().count()), (2, 2));
}

#[tokio::test]
async fn a_place_is_free_at_the_last_byte_at_trailers_and_when_the_body_is_dropped() {
    let (sender, bodies) = std::sync::mpsc::channel();
    let inner = service_fn(move |_: Request<()>| {
        let (response, body) = slow();
        sender.send(body).unwrap();
        async { Ok::<_, ()>(response) }
    });
    let layer = ConcurrencyLimitLayer::new("test", fixed(1));
    let handle = layer.handle();
    let service = layer.layer(inner);
    let body = async || service.clone().oneshot(request()).await.unwrap().into_body();

    let mut at_the_end = body().await;
    let mut sender = bodies.recv().unwrap();
    sender.send_data(Bytes::from("x")).await.unwrap();
    at_the_end.frame().await.unwrap().unwrap();
    assert_eq!(handle.under_way(), Some(1));
    drop(sender);
    assert!(at_the_end.frame().await.is_none());
    assert_eq!(handle.under_way(), Some(0));

    let mut with_trailers = body().await;
    bodies.recv().unwrap().send_trailers(HeaderMap::new()).await.unwrap();
    with_trailers.frame().await.unwrap().unwrap();
    assert_eq!(handle.under_way(), Some(0));

    let dropped = body().await;
    assert_eq!(handle.under_way(), Some(1));
    drop(dropped);
    assert_eq!(handle.under_way(), Some(0));
}

#[tokio::test]
async fn an_answer_without_a_body_frees_its_place_at_once() {
    let (service, mut upstream, handle) = set_up(fixed(1));
    let mut response = start!(service);

    upstream.next_request().await.unwrap().1.send_response(Response::new(Full::default()));

    let response = assert_ready_ok!(response.poll());
    assert_eq!(handle.under_way(), Some(0));
    drop(response);
}

#[tokio::test]
async fn a_request_that_is_dropped_or_fails_frees_its_place() {
    let (service, mut upstream, handle) = set_up(fixed(1));
    let dropped = start!(service);
    assert_eq!(handle.under_way(), Some(1));
    drop(dropped);
    assert_eq!(handle.under_way(), Some(0));

    let _ = upstream.next_request().await;
    let mut failed = start!(service);
    upstream.next_request().await.unwrap().1.send_error("broken");
    assert_ready_err!(failed.poll());
    assert_eq!(handle.under_way(), Some(0));
}

#[tokio::test]
async fn without_a_queue_one_more_is_refused_at_once_and_without_waiting_for_the_inner_service() {
    let (mut service, mut upstream, _) = set_up(fixed(1).retry_after(Duration::from_millis(1500)));
    let _first = start!(service);
    upstream.allow(0);

    assert_ready_ok!(service.poll_ready());
    let refused = assert_ready_ok!(spawn(service.call(request())).poll());

    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "2");
    assert_eq!(refused.extensions().get::<Refused>().unwrap().reason(), "overloaded");
    assert_eq!(why(&refused), Why::Full);
}

#[tokio::test]
async fn a_grpc_client_is_refused_in_grpc() {
    let (service, _upstream, _) = set_up(fixed(1));
    let _first = start!(service);
    let request = Request::post("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();

    let refused = service.into_inner().oneshot(request).await.unwrap();

    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(refused.headers()["grpc-status"], "14");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_order() {
    for (order, turns) in [(Order::Fifo, [0, 1, 2]), (Order::Lifo, [2, 1, 0])] {
        let (service, mut upstream, handle) = set_up(fixed(1).queue(queue(3).order(order)));
        let first = start!(service);
        let mut waiting = [start!(service), start!(service), start!(service)];
        assert_eq!(handle.waiting(), Some(3));
        let (_, _unanswered) = upstream.next_request().await.unwrap();
        drop(first);

        for turn in turns {
            for (index, request) in waiting.iter_mut().enumerate() {
                assert_eq!(request.is_woken(), index == turn, "{order:?}");
            }
            assert_pending!(waiting[turn].poll());
            let (_, answer) = upstream.next_request().await.unwrap();
            answer.send_response(Response::new(Full::default()));
            assert_ready_ok!(waiting[turn].poll());
        }
        assert_eq!((handle.under_way(), handle.waiting()), (Some(0), Some(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may_nor_longer() {
    let (service, mut upstream, handle) = set_up(fixed(1).queue(queue(1)));
    let first = start!(service);
    let mut late = start!(service);

    let full = service.get_ref().clone().oneshot(request()).await.unwrap();
    assert_eq!(why(&full), Why::Full);

    advance(Duration::from_millis(999)).await;
    assert_pending!(late.poll());
    advance(Duration::from_millis(1)).await;
    let refused = assert_ready_ok!(late.poll());
    assert_eq!(refused.extensions().get::<Refused>().unwrap().reason(), "overloaded_late");
    assert_eq!(why(&refused), Why::Late);

    assert_eq!(handle.waiting(), Some(0));
    drop(first);
    assert_eq!(handle.under_way(), Some(0));
    let _ = upstream.next_request().await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_makes_room_and_whoever_leaves_at_its_turn_gives_it_on() {
    let (service, _upstream, handle) = set_up(fixed(1).queue(queue(2)));
    let first = start!(service);
    let left = start!(service);
    let leaves = start!(service);
    drop(left);
    assert_eq!(handle.waiting(), Some(1));
    let last = start!(service);

    drop(first); // it is the turn of one that has not noticed yet
    assert_eq!((handle.under_way(), handle.waiting()), (Some(1), Some(1)));
    drop(leaves);

    assert!(last.is_woken());
    assert_eq!((handle.under_way(), handle.waiting()), (Some(1), Some(0)));
    drop(last);
    assert_eq!(handle.under_way(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_holds_no_place_of_the_inner_service() {
    let inner = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(slow().0)));
    let inner = tower::limit::ConcurrencyLimit::new(inner, 1);
    let policy = fixed(1).queue(queue(1));
    let service = ConcurrencyLimitLayer::new("test", policy).layer(inner.clone());
    let first = service.clone().oneshot(request()).await.unwrap();
    let mut waiting = spawn(service.clone().oneshot(request()));
    assert_pending!(waiting.poll());

    let place = assert_ready_ok!(spawn(inner.ready_oneshot()).poll());

    drop(first);
    assert_pending!(waiting.poll());
    drop(place);
    assert_ready_ok!(waiting.poll());
}

#[tokio::test]
async fn it_calls_the_service_that_was_ready_and_being_ready_takes_no_place() {
    let (mut service, mut upstream, handle) = set_up(fixed(1));
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(handle.under_way(), Some(0));

    let mut response = spawn(service.call(request()));
    assert_pending!(response.poll());

    assert!(upstream.next_request().await.is_some());
    assert_eq!(handle.under_way(), Some(1));
}

#[tokio::test]
async fn who_was_told_ready_while_it_was_full_readies_the_inner_service_when_it_is_not() {
    let (mut service, mut upstream, _) = set_up(fixed(1));
    let first = start!(service);
    let _ = upstream.next_request().await;
    assert_ready_ok!(service.poll_ready());
    drop(first);
    upstream.allow(0);

    let mut response = spawn(service.call(request()));
    assert_pending!(response.poll());
    upstream.allow(1);
    assert_pending!(response.poll());

    assert!(upstream.next_request().await.is_some());
}

#[tokio::test]
async fn a_tunnel_keeps_its_place_until_the_last_who_holds_it_lets_go() {
    let (service, mut upstream, handle) = set_up(fixed(1));
    let connect = Request::builder().method(Method::CONNECT).body(()).unwrap();
    for (request, status) in [(request(), 101), (connect, 200)] {
        let mut response = spawn(service.get_ref().clone().oneshot(request));
        assert_pending!(response.poll());
        let answer = Response::builder().status(status).body(Full::default()).unwrap();
        upstream.next_request().await.unwrap().1.send_response(answer);
        let response = assert_ready_ok!(response.poll());

        let tunnel = response.extensions().get::<TunnelPermit>().unwrap().clone();
        drop(response);
        let other = tunnel.clone();
        drop(tunnel);
        assert_eq!(handle.under_way(), Some(1), "{status}");

        drop(other);
        assert_eq!(handle.under_way(), Some(0), "{status}");
    }
}

#[tokio::test]
async fn keys_have_limits_of_their_own_and_nothing_is_kept_of_those_that_are_gone() {
    let inner = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(slow().0)));
    let path = |parts: &http::request::Parts| Some(parts.uri.path().to_owned());
    let many = NonZeroUsize::new(1000).unwrap();
    let layer = ConcurrencyLimitLayer::per_key("test", fixed(1).keys(many), path);
    let handle = layer.handle();
    let service = layer.layer(inner);
    let get = async |path: &str| {
        let request = Request::get(path).body(()).unwrap();
        service.clone().oneshot(request).await.unwrap()
    };

    let (a, b) = (get("/a").await, get("/b").await);
    assert_eq!((a.status(), b.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(get("/a").await.status(), 503);
    assert_eq!(handle.keys(), 2);

    drop(a);
    assert_eq!(handle.keys(), 1);
    assert_eq!(get("/a").await.status(), 200);
    drop(b);
    assert_eq!(handle.keys(), 0);
}

#[tokio::test]
async fn keys_beyond_the_most_share_one_limit() {
    let inner = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(slow().0)));
    let path = |parts: &http::request::Parts| Some(parts.uri.path().to_owned());
    let layer = ConcurrencyLimitLayer::per_key("test", fixed(1).keys(NonZeroUsize::MIN), path);
    let handle = layer.handle();
    let service = layer.layer(inner);
    let mut answers = Vec::new();

    for number in 0..10 {
        let request = Request::get(format!("/{number}")).body(()).unwrap();
        answers.push(service.clone().oneshot(request).await.unwrap());
    }

    let served = answers.iter().filter(|response| response.status() == 200).count();
    assert_eq!((served, handle.keys()), (2, 1), "one of its own, and one that is shared");
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_goes_up_while_answers_are_in_time_and_down_when_they_are_late() {
    let adaptive = Adaptive::new(number(2), number(100), Duration::from_millis(100)).unwrap();
    let (service, mut upstream, handle) = set_up(ConcurrencyPolicy::adaptive(adaptive));
    let answer = async |upstream: &mut Upstream| {
        let answer = Response::new(Full::default());
        upstream.next_request().await.unwrap().1.send_response(answer);
    };
    assert_eq!(handle.limit(), 2);

    for expected in [3, 4, 5] {
        for _ in 1..expected {
            let mut both = [start!(service), start!(service)];
            for response in &mut both {
                answer(&mut upstream).await;
                assert_ready_ok!(response.poll());
            }
        }
        assert!(handle.limit() >= expected.min(4), "{}", handle.limit());
    }
    let before = handle.limit();
    let mut late = start!(service);
    advance(Duration::from_millis(101)).await;
    answer(&mut upstream).await;
    assert_ready_ok!(late.poll());

    assert_eq!(handle.limit(), before - 1);
    let mut failed = start!(service);
    advance(Duration::from_millis(100)).await;
    upstream.next_request().await.unwrap().1.send_error("broken");
    assert_ready_err!(failed.poll());
    assert_eq!(handle.limit(), before - 2);
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let second = Duration::from_secs(1);

    assert!(matches!(Queue::new(number(1), Duration::ZERO), Err(InvalidPolicy::TooShort(_))));
    assert_eq!(Adaptive::new(number(2), number(1), second), Err(InvalidPolicy::Bounds));
    let zero = Adaptive::new(number(1), number(2), Duration::ZERO);
    assert!(matches!(zero, Err(InvalidPolicy::TooShort(_))));
    let adaptive = Adaptive::new(number(2), number(3), second).unwrap();
    assert_eq!(adaptive.first(number(4)), Err(InvalidPolicy::Bounds));
}

#[tokio::test]
async fn bodies_without_a_default_are_made_by_a_closure() {
    let empty = || Channel::<Bytes, Infallible>::new(1).1;
    let inner =
        service_fn(move |_: Request<()>| std::future::ready(Ok::<_, ()>(Response::new(empty()))));
    let layer = ConcurrencyLimitLayer::new("test", fixed(1)).refuse_with(empty);
    let service = layer.layer(inner);
    let _first = service.clone().oneshot(request()).await.unwrap();

    assert_eq!(service.oneshot(request()).await.unwrap().status(), 503);
}

#[test]
fn its_parts_can_be_sent_and_made_outside_of_a_runtime() {
    let _ = ConcurrencyLimitLayer::new("test", fixed(1));

    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<ConcurrencyLimitLayer>();
    shared::<ConcurrencyLimitHandle>();
    shared::<Permit>();
    shared::<TunnelPermit>();
    sent::<ConcurrencyLimit<Inner>>();
    sent::<ResponseFuture<Inner, ()>>();
    sent::<HeldBody<Slow, Permit>>();
}

#[tokio::test]
async fn what_is_ready_at_once_is_an_answer_at_the_first_poll() {
    let inner =
        service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(Full::<Bytes>::default())));
    let mut service = ConcurrencyLimitLayer::new("test", fixed(1)).layer(inner);

    for _ in 0..3 {
        assert_ready_ok!(spawn(service.ready()).poll());
        let response = assert_ready!(spawn(service.call(request())).poll());
        assert_eq!(response.unwrap().status(), 200);
    }
}
