//! The contract: readiness, refusals, and whose place is whose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::ready;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use portcullis_circuit_breaker::{
    CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, CircuitBreakerPolicy, CircuitState,
    HalfOpen, HttpClassifier, KeyedCircuitBreaker, KeyedCircuitBreakerHandle,
    KeyedCircuitBreakerLayer, Open, OpenTime, ResponseBody, ResponseFuture, Snapshot, Transition,
};
use portcullis_refusal::{DefaultBody, Refused};
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<()>, Response<Full<Bytes>>>;
type Upstream = mock::Handle<Request<()>, Response<Full<Bytes>>>;

/// Opens at the first failure for 10 s; one probe, which may take 5 s.
fn policy() -> CircuitBreakerPolicy {
    let ten = Duration::from_secs(10);
    let half_open = HalfOpen::new(NonZeroU16::MIN, NonZeroU16::MIN, Duration::from_secs(5));
    CircuitBreakerPolicy::new()
        .consecutive_failures(NonZeroU32::MIN)
        .open_time(OpenTime::new(ten, ten).unwrap().without_jitter())
        .half_open(half_open.unwrap())
}

fn layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::new("test", policy())
}

fn set_up(
    layer: CircuitBreakerLayer,
) -> (Spawn<CircuitBreaker<Inner>>, Upstream, CircuitBreakerHandle) {
    let handle = layer.handle();
    let (service, upstream) = mock::spawn_layer(layer);
    (service, upstream, handle)
}

/// The answer to a call, which has to be there at once.
fn answer(
    service: &mut Spawn<CircuitBreaker<Inner>>,
) -> Response<ResponseBody<Full<Bytes>, HttpClassifier>> {
    assert_ready_ok!(spawn(service.call(Request::new(()))).poll())
}

/// Fails a call of a service of its own.
async fn open(layer: &CircuitBreakerLayer) {
    let failing = service_fn(|_: Request<()>| ready(Err::<Response<Full<Bytes>>, _>(())));
    layer.layer(failing).oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(layer.handle().state(), CircuitState::Open);
}

/// Open, and its time is over.
async fn due(layer: &CircuitBreakerLayer) {
    open(layer).await;
    advance(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_answers_without_waiting_for_the_inner_service() {
    let layer = layer();
    let (mut service, mut upstream, circuit) = set_up(layer.clone());
    upstream.allow(0);
    assert_pending!(service.poll_ready());
    open(&layer).await;

    assert_ready_ok!(service.poll_ready());
    let refused = answer(&mut service);

    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.extensions().get::<Refused>().unwrap().reason(), "circuit_open");
    assert_eq!(circuit.snapshot().rejected(), 1);
    assert_pending!(upstream.poll_request());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_long_it_is_open_rounded_up() {
    let layer = layer();
    open(&layer).await;
    advance(Duration::from_millis(3700)).await;

    let refused = layer.layer(inner()).oneshot(Request::new(())).await.unwrap();

    assert_eq!(refused.headers()[RETRY_AFTER], "7");
    let open = refused.extensions().get::<Open>().unwrap();
    assert_eq!(open.retry_after(), Some(Duration::from_millis(6300)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_hand_does_not_say_how_long() {
    let layer = layer();
    layer.handle().force_open();

    let refused = layer.layer(inner()).oneshot(Request::new(())).await.unwrap();

    assert!(!refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(refused.extensions().get::<Open>().unwrap().retry_after(), None);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_client_is_refused_in_grpc() {
    let layer = layer();
    open(&layer).await;
    let request = Request::post("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();

    let refused = layer.layer(inner()).oneshot(request).await.unwrap();

    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(refused.headers()["grpc-status"], "14");
    assert!(refused.extensions().get::<Open>().is_some());
}

fn inner() -> Inner {
    mock::pair().0
}

#[tokio::test(start_paused = true)]
async fn bodies_without_a_default_are_made_by_a_closure() {
    struct NoDefault(Full<Bytes>);
    impl http_body::Body for NoDefault {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(cx)
        }
    }
    let layer = layer();
    layer.handle().force_open();
    let service = service_fn(|_: Request<()>| ready(Err::<Response<NoDefault>, _>(())));

    let service = layer.refuse_with(|| NoDefault(Full::default())).layer(service);

    assert!(service.oneshot(Request::new(())).await.unwrap().extensions().get::<Open>().is_some());
}

#[tokio::test(start_paused = true)]
async fn all_services_of_a_layer_and_its_clones_share_a_circuit() {
    let layer = layer();
    let (mut service, _upstream, _) = set_up(layer.clone());
    assert_ready_ok!(service.poll_ready());

    open(&layer.clone()).await;

    let refused = answer(&mut service);
    assert!(refused.extensions().get::<Open>().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_was_ready_before_it_opened_is_served_if_it_has_closed_since() {
    let layer = layer();
    let (mut service, mut upstream, circuit) = set_up(layer.clone());
    assert_ready_ok!(service.poll_ready());
    open(&layer).await;
    circuit.reset();

    let _response = service.call(Request::new(()));

    assert!(upstream.next_request().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_found_open_is_not_called_even_if_it_has_closed_since() {
    let layer = layer();
    let (mut service, mut upstream, circuit) = set_up(layer.clone());
    upstream.allow(0);
    open(&layer).await;
    assert_ready_ok!(service.poll_ready());
    circuit.reset();

    // The mock panics on a call that it was not ready for.
    let refused = answer(&mut service);

    assert!(refused.extensions().get::<Open>().is_some());
}

#[tokio::test(start_paused = true)]
async fn to_be_polled_ready_again_and_again_takes_one_place() {
    let layer = layer();
    let (mut service, mut upstream, circuit) = set_up(layer.clone());
    due(&layer).await;

    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready());
        assert_eq!(circuit.snapshot().probes(), 1);
    }
    let _response = service.call(Request::new(()));

    assert_eq!(circuit.snapshot().probes(), 1);
    assert!(upstream.next_request().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_when_the_service_is_dropped_before_its_call() {
    let layer = layer();
    let (mut service, _upstream, circuit) = set_up(layer.clone());
    due(&layer).await;
    assert_ready_ok!(service.poll_ready());
    assert!(!circuit.admits());

    drop(service);

    assert_eq!(circuit.snapshot().probes(), 0);
    assert!(circuit.admits());
}

#[tokio::test(start_paused = true)]
async fn a_clone_has_no_place() {
    let layer = layer();
    let (mut service, _upstream, circuit) = set_up(layer.clone());
    due(&layer).await;
    assert_ready_ok!(service.poll_ready());

    drop(service.clone());

    assert_eq!(circuit.snapshot().probes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_overdue_is_not_used() {
    let layer = layer();
    let (mut service, mut upstream, circuit) = set_up(layer.clone());
    due(&layer).await;
    assert_ready_ok!(service.poll_ready());
    advance(Duration::from_secs(5)).await;
    assert_eq!(circuit.state(), CircuitState::Open);

    assert!(answer(&mut service).extensions().get::<Open>().is_some());

    assert_pending!(upstream.poll_request());
    assert_eq!(circuit.snapshot().probes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_be_ready_has_failed() {
    let (mut service, mut upstream, circuit) = set_up(layer());
    upstream.allow(0);
    assert_pending!(service.poll_ready());

    upstream.send_error("gone");
    assert_ready_err!(service.poll_ready());

    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_passed_on() {
    let (mut service, mut upstream, _) = set_up(layer());
    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(()));
    upstream.next_request().await.unwrap().1.send_error("broken");

    assert_eq!(response.await.unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn a_service_with_room_for_one_is_neither_waited_for_nor_kept_busy_while_it_is_open() {
    let layer = layer();
    let ok = || ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let service = layer.layer(ConcurrencyLimit::new(service_fn(move |_: Request<()>| ok()), 1));
    let mut idle = service.clone();
    assert!(service.clone().oneshot(Request::new(())).await.unwrap().status().is_success());
    open(&layer).await;

    assert_eq!(idle.ready().await.unwrap().call(Request::new(())).await.unwrap().status(), 503);

    layer.handle().reset();
    assert!(service.oneshot(Request::new(())).await.unwrap().status().is_success());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_is_woken_when_time_is_up() {
    let layer = layer().not_ready_when_open();
    let (mut service, _upstream, _) = set_up(layer.clone());
    open(&layer).await;
    assert_pending!(service.poll_ready());

    advance(Duration::from_millis(9999)).await;
    assert!(!service.is_woken());
    advance(Duration::from_millis(1)).await;

    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_is_woken_when_the_circuit_is_closed_by_hand() {
    let layer = layer().not_ready_when_open();
    let (mut service, _upstream, circuit) = set_up(layer.clone());
    circuit.force_open();
    assert_pending!(service.poll_ready());
    advance(Duration::from_secs(3600)).await;
    assert!(!service.is_woken());

    circuit.reset();

    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_is_woken_when_a_place_is_given_back() {
    let layer = layer().not_ready_when_open();
    let (mut service, _upstream, _) = set_up(layer.clone());
    let (mut probe, _held, _) = set_up(layer.clone());
    due(&layer).await;
    assert_ready_ok!(probe.poll_ready());
    assert_pending!(service.poll_ready());

    drop(probe);

    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_is_woken_when_a_probe_is_overdue_and_waits_on() {
    let layer = layer().not_ready_when_open();
    let (mut service, _upstream, circuit) = set_up(layer.clone());
    let (mut probe, _held, _) = set_up(layer.clone());
    due(&layer).await;
    assert_ready_ok!(probe.poll_ready());
    assert_pending!(service.poll_ready());

    advance(Duration::from_secs(5)).await;
    assert!(service.is_woken());
    assert_pending!(service.poll_ready());

    assert_eq!(circuit.state(), CircuitState::Open);
    advance(Duration::from_secs(10)).await;
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn who_was_ready_before_it_opened_is_not_when_polled_again() {
    let layer = layer().not_ready_when_open();
    let (mut service, _upstream, _) = set_up(layer.clone());
    assert_ready_ok!(service.poll_ready());
    open(&layer).await;

    assert_pending!(service.poll_ready());
}

#[test]
fn public_types_go_wherever_they_are_wanted() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<CircuitBreakerLayer>();
    check::<CircuitBreaker<()>>();
    check::<KeyedCircuitBreakerLayer<String, ()>>();
    check::<KeyedCircuitBreaker<(), String, ()>>();
    check::<KeyedCircuitBreakerHandle<String>>();
    check::<CircuitBreakerHandle>();
    check::<CircuitBreakerPolicy>();
    check::<HttpClassifier>();
    check::<ResponseBody<(), HttpClassifier>>();
    check::<ResponseFuture<(), HttpClassifier, DefaultBody>>();
    check::<Snapshot>();
    check::<Transition>();
    check::<Open>();
}
