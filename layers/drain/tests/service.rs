//! What a client sees of a shutdown, and what counts as in flight.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use portcullis_drain::{
    ClosePolicy, Cut, Deadlines, Drain, DrainHandle, DrainLayer, DrainSignal, Draining, EndOnDrain,
    InFlight, Kind, LingerTooLong, Phase, Report, ResponseFuture, Tracked, TunnelInFlight,
};
use portcullis_held_body::HeldBody;
use portcullis_refusal::Refused;
use proptest::prelude::*;
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<()>, Response<Full<Bytes>>>;
type Upstream = mock::Handle<Request<()>, Response<Full<Bytes>>>;

fn set_up() -> (Spawn<Drain<Inner>>, Upstream, DrainHandle) {
    let layer = DrainLayer::default();
    let handle = layer.handle();
    let (service, upstream) = mock::spawn_layer(layer);
    (service, upstream, handle)
}

fn request(version: Version) -> Request<()> {
    let mut request = Request::new(());
    *request.version_mut() = version;
    request
}

fn words() -> Response<Full<Bytes>> {
    Response::new(Full::from("last words"))
}

/// What the inner service's `answer` to a request becomes that was sent before the signal.
async fn during(
    shutdown: Deadlines,
    version: Version,
    answer: Response<Full<Bytes>>,
) -> Response<HeldBody<Full<Bytes>, InFlight>> {
    let layer = DrainLayer::new(shutdown);
    let handle = layer.handle();
    let (mut service, mut upstream): (Spawn<Drain<Inner>>, Upstream) = mock::spawn_layer(layer);

    assert_ready_ok!(service.poll_ready());
    let response = service.call(request(version));
    let (_, reply) = upstream.next_request().await.unwrap();
    assert_pending!(spawn(handle.drain()).poll());

    reply.send_response(answer);
    response.await.unwrap()
}

async fn while_draining(
    version: Version,
    answer: Response<Full<Bytes>>,
) -> Response<HeldBody<Full<Bytes>, InFlight>> {
    during(Deadlines::default(), version, answer).await
}

#[tokio::test]
async fn before_the_signal_nothing_is_changed() {
    let (mut service, mut upstream, _handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(()));
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(words());
    let response = response.await.unwrap();

    assert!(response.headers().is_empty());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "last words");
}

#[tokio::test]
async fn http1_clients_are_told_to_close_while_requests_are_still_served() {
    for version in [Version::HTTP_10, Version::HTTP_11] {
        let response = while_draining(version, words()).await;

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONNECTION], "close", "{version:?}");
    }

    let lingering = Deadlines::new(Duration::from_secs(5), Duration::from_secs(30)).unwrap();
    let response = during(lingering, Version::HTTP_11, words()).await;
    assert_eq!(response.headers()[CONNECTION], "close");
}

// RFC 9113 §8.2.2, RFC 9114 §4.2.
#[tokio::test]
async fn clients_of_later_versions_never_see_a_connection_header() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        assert!(while_draining(version, words()).await.headers().is_empty(), "{version:?}");
    }

    let (mut service, _upstream, handle) = set_up();
    handle.force();
    assert_ready_ok!(service.poll_ready());
    let refused = service.call(request(Version::HTTP_2)).await.unwrap();
    assert!(!refused.headers().contains_key(CONNECTION));
}

#[tokio::test]
async fn connection_options_of_the_answer_are_kept_and_close_is_said_once() {
    let mut answer = words();
    answer.headers_mut().insert(CONNECTION, "x-hop, Close".parse().unwrap());
    let response = while_draining(Version::HTTP_11, answer).await;
    let options: Vec<_> = response.headers().get_all(CONNECTION).iter().collect();
    assert_eq!(options, ["x-hop, Close"]);

    let mut answer = words();
    answer.headers_mut().insert(CONNECTION, "x-close".parse().unwrap());
    let response = while_draining(Version::HTTP_11, answer).await;
    let options: Vec<_> = response.headers().get_all(CONNECTION).iter().collect();
    assert_eq!(options, ["x-close", "close"]);
}

#[tokio::test]
async fn a_connection_that_is_switched_is_not_told_to_close() {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, "upgrade".parse().unwrap());

    let response = while_draining(Version::HTTP_11, answer).await;

    let options: Vec<_> = response.headers().get_all(CONNECTION).iter().collect();
    assert_eq!(options, ["upgrade"]);
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_to_close_gradually_if_the_policy_is_so() {
    let closing = |close| {
        Deadlines::new(Duration::from_secs(10), Duration::from_secs(30)).unwrap().closing(close)
    };
    for (close, expected) in
        [(ClosePolicy::Never, 0_usize), (ClosePolicy::Gradual, 30), (ClosePolicy::Immediate, 100)]
    {
        let layer = DrainLayer::new(closing(close));
        let handle = layer.handle();
        let mut service = layer.layer(service_fn(|_: Request<()>| ready(Ok::<_, ()>(words()))));
        let mut drain = spawn(handle.drain());
        assert_pending!(drain.poll());
        advance(Duration::from_secs(3)).await;

        let mut told = 0;
        for _ in 0..100 {
            let response = service.call(Request::new(())).await.unwrap();
            told += usize::from(response.headers().contains_key(CONNECTION));
        }

        assert!(told.abs_diff(expected) <= 1, "{close:?}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_it_drains_a_gradual_policy_tells_everybody_and_never_nobody() {
    for (close, told) in [(ClosePolicy::Gradual, true), (ClosePolicy::Never, false)] {
        let response = during(Deadlines::default().closing(close), Version::HTTP_11, words()).await;
        assert_eq!(response.headers().contains_key(CONNECTION), told, "{close:?}");
    }
}

#[tokio::test]
async fn past_the_deadline_requests_are_refused_without_waiting_for_the_inner_service() {
    let (mut service, mut upstream, handle) = set_up();
    upstream.allow(0);
    assert_pending!(service.poll_ready());

    handle.force();
    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(())).await.unwrap();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(response.headers()[CONNECTION], "close");
    assert!(response.extensions().get::<Draining>().is_some());
    assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "draining");
    assert!(response.body().held().is_none());
}

#[tokio::test]
async fn a_grpc_client_is_refused_in_its_own_words() {
    let (mut service, _upstream, handle) = set_up();
    let mut request = request(Version::HTTP_2);
    request.headers_mut().insert(CONTENT_TYPE, "application/grpc".parse().unwrap());

    handle.force();
    assert_ready_ok!(service.poll_ready());
    let response = service.call(request).await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
}

#[tokio::test]
async fn the_deadline_may_pass_between_readiness_and_call() {
    let (mut service, mut upstream, handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    handle.force();
    let response = service.call(Request::new(())).await.unwrap();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_pending!(spawn(upstream.next_request()).poll());
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service_until_the_deadline() {
    let (mut service, mut upstream, handle) = set_up();
    assert_ready_ok!(service.poll_ready());
    let _in_flight = service.call(Request::new(()));
    assert_pending!(spawn(handle.drain()).poll());
    assert_eq!(handle.phase(), Phase::Draining);

    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn a_readiness_error_of_the_inner_service_is_passed_on() {
    let (mut service, mut upstream, _handle) = set_up();

    upstream.send_error("broken");

    assert_eq!(assert_ready_err!(service.poll_ready()).to_string(), "broken");
}

#[tokio::test]
async fn a_request_is_in_flight_from_call_to_the_last_byte() {
    let (mut service, mut upstream, handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(handle.in_flight(), 0);

    let response = service.call(Request::new(()));
    assert_eq!(handle.in_flight(), 1);

    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(words());
    let mut body = response.await.unwrap().into_body();
    assert_eq!(handle.in_flight(), 1);

    body.frame().await.unwrap().unwrap();
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test]
async fn an_error_ends_the_request_even_if_the_future_is_kept() {
    let (mut service, mut upstream, handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(Request::new(())));
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_error("broken");

    assert_eq!(assert_ready_err!(response.poll()).to_string(), "broken");
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test]
async fn an_empty_body_ends_the_request_with_its_head() {
    let (mut service, mut upstream, handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(()));
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(Response::new(Full::default()));
    let _response = response.await.unwrap();

    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test]
async fn a_request_dropped_at_any_point_is_no_longer_in_flight() {
    let (mut service, mut upstream, handle) = set_up();

    assert_ready_ok!(service.poll_ready());
    drop(service.call(Request::new(())));
    assert_eq!(handle.in_flight(), 0);

    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(Request::new(())));
    assert_pending!(response.poll());
    drop(response);
    assert_eq!(handle.in_flight(), 0);

    while spawn(upstream.next_request()).poll().is_ready() {}
    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(()));
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(words());
    drop(response.await.unwrap());
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_request_is_in_flight_until_all_of_it_is_dropped() {
    struct OnDrop<F: Fn()>(F);
    impl<F: Fn()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    let layer = DrainLayer::default();
    let seen = Rc::new(Cell::new(None));
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        let (handle, seen) = (layer.handle(), seen.clone());
        let held = OnDrop(move || seen.set(Some(handle.in_flight())));
        async move {
            pending::<()>().await;
            drop(held);
            Ok::<_, ()>(words())
        }
    }));

    drop(service.call(Request::new(())));

    assert_eq!(seen.get(), Some(1));
    assert_eq!(layer.handle().in_flight(), 0);
}

#[test]
fn a_panic_of_the_inner_service_ends_the_request() {
    fn never(_: Request<()>) -> std::future::Ready<Result<Response<Full<Bytes>>, ()>> {
        panic!("on purpose")
    }
    let layer = DrainLayer::default();
    let mut service = layer.layer(service_fn(never));

    let call = catch_unwind(AssertUnwindSafe(|| service.call(Request::new(()))));

    assert!(call.is_err());
    assert_eq!(layer.handle().in_flight(), 0);
}

#[tokio::test]
async fn a_limit_of_one_below_neither_hangs_nor_leaks() {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(words())));
    let layer = DrainLayer::default();
    let mut service = layer.layer(ConcurrencyLimit::new(inner, 1));

    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
        response.into_body().collect().await.unwrap();
        drop(service.ready().await.unwrap().call(Request::new(())));
    }

    assert_eq!(layer.handle().in_flight(), 0);
}

#[tokio::test]
async fn clones_and_services_of_one_layer_are_counted_together() {
    let layer = DrainLayer::default();
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(words())));
    let service = layer.layer(inner);
    let other = layer.clone().layer(inner);

    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    let second = service.oneshot(Request::new(())).await.unwrap();
    let third = other.oneshot(Request::new(())).await.unwrap();

    // The services are gone, their requests are not.
    assert_eq!(layer.handle().in_flight(), 3);
    drop((first, second, third));
    assert_eq!(layer.handle().in_flight(), 0);
}

#[tokio::test]
async fn a_service_that_comes_late_keeps_to_the_phase() {
    let layer = DrainLayer::default();
    layer.handle().force();
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(words())));

    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_body_without_a_default_is_made_by_a_closure() {
    let layer = DrainLayer::default().refuse_with(|| Full::<Bytes>::default().boxed());
    layer.handle().force();
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(words().map(BodyExt::boxed))));

    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(DrainLayer, DrainHandle, Deadlines, LingerTooLong, Draining)>();
    check::<(Drain<()>, ResponseFuture<(), ()>, InFlight)>();
    check::<(Phase, Report, Cut, Kind, ClosePolicy)>();
    check::<(DrainSignal, EndOnDrain<()>, Tracked<()>, TunnelInFlight)>();
}

#[test]
fn what_is_printed_holds_no_query() {
    let layer = DrainLayer::default();
    let mut service =
        layer.layer(service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, ()>>()));
    let request = Request::get("/path?token=secret").body(()).unwrap();

    let response = service.call(request);
    let printed = format!("{layer:?} {:?}", layer.handle());

    assert!(!printed.contains("secret"));
    drop(response);
}

proptest! {
    // Whatever comes and goes, in any of the services, the handle knows how many there are.
    #[test]
    fn the_sum_over_all_services_is_right(
        steps in prop::collection::vec((0..5, any::<prop::sample::Index>()), 0..60),
    ) {
        let layer = DrainLayer::default();
        let inner = service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, ()>>());
        let (mut services, mut running) = (vec![layer.layer(inner)], Vec::new());
        for (step, index) in steps {
            let at = |len: usize| index.index(len.max(1));
            let (service, request) = (at(services.len()), at(running.len()));
            match step {
                0 => services.push(layer.layer(inner)),
                1 if !services.is_empty() => drop(services.swap_remove(service)),
                2 if !running.is_empty() => drop(running.swap_remove(request)),
                _ if !services.is_empty() => {
                    running.push(services[service].call(Request::new(())));
                }
                _ => {}
            }
            prop_assert_eq!(layer.handle().in_flight(), running.len());
        }
    }
}
