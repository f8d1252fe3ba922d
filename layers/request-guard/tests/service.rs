//! What the client, the inner service and the reader of a body see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use portcullis_refusal::Refused;
use portcullis_request_guard::{
    Flaw, GuardedBody, GuardedBodyError, HostPattern, MediaRange, Part, Paths, Policy,
    RequestGuard, RequestGuardLayer, ResponseFuture, TooLarge, Unfit,
};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Handle, Mock, Spawn};

type Guarded = Request<GuardedBody<Script>>;
type Guard = Spawn<RequestGuard<Mock<Guarded, Response<()>>>>;

/// A body that says of its size what it is told to.
#[derive(Debug, Default)]
struct Script {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    hint: SizeHint,
}

impl Script {
    /// Of unknown size, as a chunked body is.
    fn chunked<const N: usize>(chunks: [&'static str; N]) -> Self {
        let frames = chunks.map(|chunk| Ok(Frame::data(Bytes::from(chunk)))).into();
        Self { frames, hint: SizeHint::default() }
    }

    fn then(mut self, frame: Result<Frame<Bytes>, &'static str>) -> Self {
        self.frames.push_back(frame);
        self
    }

    fn hinting(mut self, lower: u64, upper: u64) -> Self {
        self.hint.set_upper(upper);
        self.hint.set_lower(lower);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

fn guard(ceilings: Policy) -> (Guard, Handle<Guarded, Response<()>>) {
    mock::spawn_layer(RequestGuardLayer::new(ceilings))
}

fn three_bytes() -> Policy {
    Policy::ceilings().max_body(3)
}

/// The answer to `request` by a service that reads nothing.
async fn answer(ceilings: Policy, request: Request<Script>) -> Response<()> {
    let inner = service_fn(async |_: Guarded| Ok::<_, ()>(Response::new(())));
    RequestGuardLayer::new(ceilings).layer(inner).oneshot(request).await.unwrap()
}

fn refused<B>(response: &Response<B>) -> Option<Part> {
    response.extensions().get().map(TooLarge::part)
}

fn uri(uri: &str) -> Request<Script> {
    Request::get(uri).body(Script::default()).unwrap()
}

fn headers<const N: usize>(headers: [(&'static str, &'static str); N]) -> Request<Script> {
    let mut request = uri("/");
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}

fn grpc(mut request: Request<Script>) -> Request<Script> {
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request
}

#[tokio::test]
async fn a_uri_at_the_ceiling_passes_and_a_longer_one_does_not() {
    for at in ["/9876543210", "/?876543210", "http://hos", "host:654321", "*"] {
        let ceilings = Policy::ceilings().max_uri(11);
        assert_eq!(refused(&answer(ceilings, uri(at)).await), None, "{at}");
    }
    for over in ["/9876543210a", "/?876543210a", "http://hos/a", "host:6543210"] {
        let ceilings = Policy::ceilings().max_uri(11);
        let response = answer(ceilings, uri(over)).await;

        assert_eq!(response.status(), StatusCode::URI_TOO_LONG, "{over}");
        assert_eq!(refused(&response), Some(Part::Uri));
    }
}

#[tokio::test]
async fn too_many_headers_are_refused_repeated_ones_too() {
    let ceilings = || Policy::ceilings().max_header_count(2);
    let response = answer(ceilings(), headers([("a", ""), ("a", ""), ("a", "")])).await;

    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(refused(&response), Some(Part::HeaderCount));
    assert_eq!(refused(&answer(ceilings(), headers([("a", ""), ("a", "")])).await), None);
}

// RFC 9113 §6.5.2.
#[tokio::test]
async fn a_header_line_weighs_its_name_its_value_and_32_bytes() {
    let request = || headers([("name", "value"), ("name", ""), ("x", "y")]);
    let weight = (4 + 5 + 32) + (4 + 32) + (1 + 1 + 32);
    let response = answer(Policy::ceilings().max_header_block(weight - 1), request()).await;

    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(refused(&response), Some(Part::HeaderBlock));
    let exact = Policy::ceilings().max_header_block(weight);
    assert_eq!(refused(&answer(exact, request()).await), None);
}

#[tokio::test]
async fn a_declared_length_is_refused_before_the_inner_service_is_called() {
    let declared = |length: &'static str| headers([("content-length", length)]);
    let hinted = |bytes| Request::new(Script::default().hinting(bytes, bytes));

    for request in [declared("4"), declared("18446744073709551616"), hinted(4)] {
        let (mut service, mut upstream) = guard(three_bytes());
        assert_ready_ok!(service.poll_ready());
        let response = assert_ready_ok!(spawn(service.call(request)).poll());

        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(refused(&response), Some(Part::Body));
        assert_pending!(spawn(upstream.next_request()).poll());
    }
    for request in [declared("3"), declared("0003"), declared("three"), hinted(3)] {
        assert_eq!(refused(&answer(three_bytes(), request).await), None);
    }
}

#[tokio::test]
async fn ceilings_for_most_are_8_kib_64_kib_and_100_headers_and_bodies_have_none() {
    let limits = Policy::new().max_uri(8192).max_header_block(65536).max_header_count(100);
    assert_eq!(Policy::ceilings(), limits);

    let huge = Request::new(Script::default().hinting(u64::MAX, u64::MAX));
    assert_eq!(refused(&answer(Policy::ceilings(), huge).await), None);
}

#[tokio::test]
async fn what_is_not_said_is_not_asked() {
    let long = "a".repeat(60_000);
    let mut request = uri(&format!("/../{long}"));
    request.headers_mut().insert("x-long", HeaderValue::try_from(long).unwrap());

    assert_eq!(Policy::default(), Policy::new());
    assert_eq!(answer(Policy::new(), request).await.status(), StatusCode::OK);
}

#[test]
fn whoever_parses_the_head_can_ask_how_much_of_it_is_allowed() {
    let policy = Policy::new().max_uri(10).max_header_count(7).or(&Policy::ceilings().max_uri(9));

    let limits = [Part::Uri, Part::HeaderBlock, Part::HeaderCount, Part::Body];
    let limits = limits.map(|part| policy.limit(part));
    assert_eq!(limits, [Some(10), Some(64 << 10), Some(7), None]);
}

#[tokio::test]
async fn a_grpc_client_is_told_that_a_resource_is_exhausted() {
    let declared = grpc(headers([("content-length", "4")]));
    let many = grpc(headers([("a", ""), ("b", "")]));
    let ceilings = Policy::ceilings().max_uri(9).max_header_count(2).max_body(3);

    for request in [declared, many, grpc(uri("/too/long/"))] {
        let response = answer(ceilings.clone(), request).await;

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "8");
    }
}

#[tokio::test]
async fn a_refusal_says_which_ceiling_was_exceeded() {
    let ceilings =
        Policy::ceilings().max_uri(9).max_header_count(2).max_header_block(200).max_body(3);
    let long = HeaderValue::from_static(concat!(
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
    ));
    let mut block = uri("/");
    block.headers_mut().insert("long", long);

    for (request, reason, detail) in [
        (uri("/too/long/"), "uri_too_long", "the URI is longer than 9 bytes"),
        (block, "header_block_too_large", "the headers are larger than 200 bytes"),
        (headers([("a", ""); 3]), "too_many_headers", "there are more than 2 headers"),
        (
            headers([("content-length", "4")]),
            "body_too_large",
            "the request body is larger than 3 bytes",
        ),
    ] {
        let response = answer(ceilings.clone(), request).await;
        let refused: &Refused = response.extensions().get().unwrap();

        assert_eq!((refused.reason(), refused.detail()), (reason, detail));
        assert_eq!(refused.status(), response.status());
    }
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_413_whatever_the_inner_service_says() {
    for fails in [false, true] {
        let inner = service_fn(move |request: Guarded| async move {
            let read = request.into_body().collect().await;
            assert_eq!(read.unwrap_err(), GuardedBodyError::TooLarge);
            if fails { Err("broken") } else { Ok(Response::new(())) }
        });
        let service = RequestGuardLayer::new(three_bytes()).layer(inner);

        let request = Request::new(Script::chunked(["ab", "cd"]));
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(refused(&response), Some(Part::Body));

        let request = grpc(Request::new(Script::chunked(["abcd"])));
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "8");
    }
}

#[tokio::test]
async fn the_answer_does_not_wait_for_an_inner_service_that_reads_elsewhere() {
    let (mut service, mut upstream) = guard(three_bytes());
    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(Request::new(Script::chunked(["abcd"]))));
    assert_pending!(response.poll());

    let (request, _reply) = upstream.next_request().await.unwrap();
    let frame = request.into_body().frame().await.unwrap();
    assert_eq!(frame.unwrap_err(), GuardedBodyError::TooLarge);

    assert!(response.is_woken());
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_future_that_moved_is_woken_where_it_is() {
    let (mut service, mut upstream) = guard(three_bytes());
    assert_ready_ok!(service.poll_ready());
    let mut response = Box::pin(service.call(Request::new(Script::chunked(["abcd"]))));
    assert_pending!(spawn(response.as_mut()).poll());
    let mut response = spawn(response);
    assert_pending!(response.poll());

    let (request, _reply) = upstream.next_request().await.unwrap();
    request.into_body().frame().await;

    assert!(response.is_woken());
}

#[test]
fn an_inner_future_is_dropped_and_not_polled_once_its_body_is_too_large() {
    let held = Arc::new(());
    let mut service =
        RequestGuardLayer::new(three_bytes()).layer(service_fn(|request: Guarded| {
            let frame = tokio_test::block_on(request.into_body().frame());
            assert_eq!(frame.unwrap().unwrap_err(), GuardedBodyError::TooLarge);
            let held = held.clone();
            poll_fn(move |_| -> Poll<Result<Response<()>, ()>> { panic!("polled with {held:?}") })
        }));

    let mut response = spawn(service.call(Request::new(Script::chunked(["abcd"]))));
    assert_eq!(Arc::strong_count(&held), 2);

    assert_ready_ok!(response.poll());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test]
async fn an_answer_that_is_given_stands_and_the_reader_alone_is_told() {
    let (mut service, mut upstream) = guard(three_bytes());
    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(Request::new(Script::chunked(["ab", "cd"]))));

    let (request, reply) = upstream.next_request().await.unwrap();
    let mut body = request.into_body();
    body.frame().await.unwrap().unwrap();
    reply.send_response(Response::new(()));
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::OK);

    assert_eq!(body.frame().await.unwrap().unwrap_err(), GuardedBodyError::TooLarge);
    assert!(body.frame().await.is_none());
}

/// Sends `body` through a guard for three bytes; what the inner service gets.
async fn guarded(body: Script) -> GuardedBody<Script> {
    let (mut service, mut upstream) = guard(three_bytes());
    assert_ready_ok!(service.poll_ready());
    drop(service.call(Request::new(body)));
    drop(service);
    upstream.next_request().await.unwrap().0.into_body()
}

#[tokio::test]
async fn a_body_that_breaks_the_word_of_its_size_hint_is_cut_all_the_same() {
    let mut body = guarded(Script::chunked(["abcd", "e"]).hinting(0, 3)).await;

    assert_eq!(body.frame().await.unwrap().unwrap_err(), GuardedBodyError::TooLarge);
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn trailers_pass_and_count_towards_nothing() {
    let trailers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("long/enough"))]);
    let body = guarded(Script::chunked(["abc"]).then(Ok(Frame::trailers(trailers.clone())))).await;

    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "abc");
}

#[tokio::test]
async fn an_error_of_the_body_is_not_taken_for_a_large_one() {
    let (mut service, mut upstream) = guard(three_bytes());
    assert_ready_ok!(service.poll_ready());
    let mut response =
        spawn(service.call(Request::new(Script::chunked(["abc"]).then(Err("reset")))));

    let (request, reply) = upstream.next_request().await.unwrap();
    let error = request.into_body().collect().await.unwrap_err();
    assert_eq!(error, GuardedBodyError::Inner("reset"));
    reply.send_response(Response::new(()));
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::OK);
}

#[tokio::test]
async fn size_and_end_are_the_inner_bodys_own() {
    for (lower, upper) in [(3, 3), (1, 9), (0, u64::MAX)] {
        let hint = guarded(Script::chunked(["a"]).hinting(lower, upper)).await.size_hint();
        assert_eq!((hint.lower(), hint.upper()), (lower, Some(upper)));
    }
    assert!(guarded(Script::default()).await.is_end_stream());
    assert!(!guarded(Script::chunked(["a"])).await.is_end_stream());
}

#[tokio::test]
async fn a_response_body_without_a_default_comes_from_a_closure() {
    struct NoDefault(&'static str);

    let inner = service_fn(async |_: Request<GuardedBody<Full<Bytes>>>| {
        Ok::<_, ()>(Response::new(NoDefault("inner")))
    });
    let layer = RequestGuardLayer::new(three_bytes()).refuse_with(|| NoDefault("refused"));

    let request = Request::new(Full::from("abcd"));
    assert_eq!(layer.layer(inner).oneshot(request).await.unwrap().body().0, "refused");
}

#[test]
fn readiness_is_that_of_the_inner_service() {
    let (mut service, mut upstream) = guard(Policy::ceilings());

    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    upstream.send_error("closed");
    assert_ready_err!(service.poll_ready());
}

#[tokio::test]
async fn a_refused_request_lets_the_reserved_permit_go() {
    let inner = service_fn(async |_: Guarded| Ok::<_, ()>(Response::new(())));
    let inner = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut one = RequestGuardLayer::new(Policy::ceilings().max_uri(0)).layer(inner);
    let mut other = one.clone();

    one.ready().await.unwrap();
    let refusal = one.call(uri("/")).await.unwrap();
    assert_eq!(refused(&refusal), Some(Part::Uri));

    assert_ready!(spawn(other.ready()).poll()).unwrap();
}

#[tokio::test]
async fn the_only_permit_serves_one_request_after_the_other() {
    let inner = service_fn(async |_: Guarded| Ok::<_, ()>(Response::new(())));
    let inner = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut service = RequestGuardLayer::new(three_bytes()).layer(inner);

    for body in ["abc", "abcd", "ab"] {
        let request = Request::new(Script::chunked([body]));
        service.ready().await.unwrap().call(request).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_future_drops_the_inner_one() {
    let held = Arc::new(());
    let mut service = RequestGuardLayer::new(three_bytes()).layer(service_fn(|_: Guarded| {
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, ()>(Response::new(()))
        }
    }));

    let mut response = spawn(service.call(Request::new(Script::chunked(["a"]))));
    assert_pending!(response.poll());
    assert_eq!(Arc::strong_count(&held), 2);
    drop(response);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn an_error_tells_its_source() {
    let inner = GuardedBodyError::Inner("x".parse::<u8>().unwrap_err());
    assert!(std::error::Error::source(&inner).is_some());
    assert_eq!(inner.to_string(), "the request body broke off");

    let own = GuardedBodyError::<std::fmt::Error>::TooLarge;
    assert!(std::error::Error::source(&own).is_none());
    assert_eq!(own.to_string(), "the request body is too large");
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(Policy, RequestGuardLayer, TooLarge, Part, GuardedBodyError<()>)>();
    check::<(Paths, Flaw, Unfit, HostPattern, MediaRange)>();
    check::<(RequestGuard<()>, ResponseFuture<()>, GuardedBody<Empty<Bytes>>)>();
}
