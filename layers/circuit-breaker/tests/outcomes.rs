//! What counts as what.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::future::ready;
use std::num::{NonZeroU16, NonZeroU32};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use portcullis_circuit_breaker::{
    CircuitBreakerHandle, CircuitBreakerLayer, CircuitBreakerPolicy, CircuitState, Classify,
    ClassifyError, HalfOpen, HttpClassifier, OpenTime, Outcome, ResponseBody, Until, Verdict,
    Window,
};
use portcullis_refusal::{GrpcStatus, Refusal};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

/// Whose fault something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Client,
    Upstream,
}

/// A body that yields what it is told to, and says that it has ended as soon as it can know.
#[derive(Debug, Default)]
struct Told {
    frames: VecDeque<Result<Frame<Bytes>, Fault>>,
    announced: bool,
}

impl Told {
    fn new(frames: impl IntoIterator<Item = Result<Frame<Bytes>, Fault>>) -> Self {
        Self { frames: frames.into_iter().collect(), announced: false }
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.announced && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(7)
    }
}

fn word() -> Result<Frame<Bytes>, Fault> {
    Ok(Frame::data(Bytes::from_static(b"word")))
}

fn trailers(status: &'static str) -> Result<Frame<Bytes>, Fault> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    Ok(Frame::trailers(trailers))
}

fn policy() -> CircuitBreakerPolicy {
    let second = Duration::from_secs(1);
    let half_open = HalfOpen::new(NonZeroU16::MIN, NonZeroU16::MIN, 5 * second).unwrap();
    CircuitBreakerPolicy::new()
        .window(Window::calls(10, 10).unwrap())
        .open_time(OpenTime::new(second, second).unwrap().without_jitter())
        .half_open(half_open)
}

/// Calls once, and does with the body what `read` does.
async fn call<C>(
    layer: &CircuitBreakerLayer<C>,
    result: Result<Response<Told>, Fault>,
    read: impl AsyncFnOnce(ResponseBody<Told, C>),
) where
    C: Classify + ClassifyError<Fault> + Clone,
{
    let mut result = Some(result);
    let service = service_fn(move |_: Request<()>| ready(result.take().unwrap()));
    if let Ok(response) = layer.layer(service).oneshot(Request::new(())).await {
        read(response.into_body()).await;
    }
}

async fn to_its_end<C: Classify + ClassifyError<Fault>>(body: ResponseBody<Told, C>) {
    let _ = body.collect().await;
}

/// What a call is taken for.
fn counted(circuit: &CircuitBreakerHandle) -> Outcome {
    let snapshot = circuit.snapshot();
    match (snapshot.calls(), snapshot.failed()) {
        (0, 0) => Outcome::Neutral,
        (1, 0) => Outcome::Success,
        (1, 1) => Outcome::Failure,
        other => panic!("{other:?}"),
    }
}

async fn outcome(
    until: Until,
    result: Result<Response<Told>, Fault>,
    read: impl AsyncFnOnce(ResponseBody<Told, HttpClassifier>),
) -> Outcome {
    let layer = CircuitBreakerLayer::new("test", policy().record_at(until));
    call(&layer, result, read).await;
    counted(&layer.handle())
}

fn status(status: StatusCode) -> Response<Told> {
    Response::builder().status(status).body(Told::new([word()])).unwrap()
}

fn grpc(frames: impl IntoIterator<Item = Result<Frame<Bytes>, Fault>>) -> Response<Told> {
    let response = Response::builder().header(CONTENT_TYPE, "application/grpc+proto");
    response.body(Told::new(frames)).unwrap()
}

fn trailers_only(status: &str) -> Response<Told> {
    let mut response = grpc([]);
    response.headers_mut().insert("grpc-status", status.parse().unwrap());
    response
}

#[tokio::test]
async fn a_status_from_500_on_is_a_failure_but_for_two_that_are_up_to_the_request() {
    for code in 200..600 {
        let code = StatusCode::from_u16(code).unwrap();
        let failure = code.as_u16() >= 500 && code != 501 && code != 505;
        let expected = if failure { Outcome::Failure } else { Outcome::Success };
        for until in [Until::Headers, Until::LastByte] {
            assert_eq!(outcome(until, Ok(status(code)), to_its_end).await, expected, "{code}");
        }
    }
}

#[tokio::test]
async fn an_error_is_a_failure() {
    for until in [Until::Headers, Until::LastByte] {
        let result = outcome(until, Err(Fault::Client), to_its_end).await;
        assert_eq!(result, Outcome::Failure);
    }
}

#[tokio::test]
async fn a_body_that_breaks_is_a_failure_only_where_it_is_watched() {
    let broken = || {
        let body = Told::new([word(), Err(Fault::Upstream)]);
        Ok(Response::new(body))
    };

    assert_eq!(outcome(Until::LastByte, broken(), to_its_end).await, Outcome::Failure);
    assert_eq!(outcome(Until::Headers, broken(), to_its_end).await, Outcome::Success);
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_counts_for_nothing() {
    let unread =
        outcome(Until::LastByte, Ok(status(StatusCode::OK)), async |body| drop(body)).await;
    let half_read = outcome(Until::LastByte, Ok(status(StatusCode::OK)), async |mut body| {
        body.frame().await.unwrap().unwrap();
    });

    assert_eq!(unread, Outcome::Neutral);
    assert_eq!(half_read.await, Outcome::Neutral);
}

#[tokio::test]
async fn a_failure_known_at_the_headers_needs_no_body() {
    let failed = status(StatusCode::BAD_GATEWAY);
    assert_eq!(
        outcome(Until::LastByte, Ok(failed), async |body| drop(body)).await,
        Outcome::Failure
    );
}

#[tokio::test]
async fn a_body_that_has_ended_need_not_be_polled() {
    let empty = Told { announced: true, ..Told::default() };
    let unread = outcome(Until::LastByte, Ok(Response::new(empty)), async |body| drop(body)).await;
    assert_eq!(unread, Outcome::Success);

    let known = Told { announced: true, ..Told::new([word()]) };
    let read = outcome(Until::LastByte, Ok(Response::new(known)), async |mut body| {
        body.frame().await.unwrap().unwrap();
    });
    assert_eq!(read.await, Outcome::Success);
}

#[tokio::test]
async fn the_status_of_grpc_decides_wherever_it_stands() {
    for code in 0..=17 {
        let expected = match code {
            1 => Outcome::Neutral,
            4 | 13 | 14 | 15 => Outcome::Failure,
            _ => Outcome::Success,
        };
        let code: &str = code.to_string().leak();
        let at_the_end = Ok(grpc([word(), trailers(code)]));
        assert_eq!(outcome(Until::LastByte, at_the_end, to_its_end).await, expected, "{code}");
        for until in [Until::Headers, Until::LastByte] {
            let at_once = Ok(trailers_only(code));
            assert_eq!(outcome(until, at_once, to_its_end).await, expected, "{code}");
        }
    }
}

#[tokio::test]
async fn a_grpc_response_without_a_readable_status_is_a_failure() {
    for frames in [vec![word()], vec![word(), trailers("fine")], vec![trailers("-1")], vec![]] {
        assert_eq!(outcome(Until::LastByte, Ok(grpc(frames)), to_its_end).await, Outcome::Failure);
    }
    assert_eq!(outcome(Until::LastByte, Ok(trailers_only("")), to_its_end).await, Outcome::Failure);
}

#[tokio::test]
async fn grpc_trailers_are_not_waited_for_at_the_headers() {
    let failed = Ok(grpc([word(), trailers("14")]));
    assert_eq!(outcome(Until::Headers, failed, to_its_end).await, Outcome::Success);
}

#[tokio::test]
async fn what_a_layer_in_between_refuses_says_nothing_of_the_service() {
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "full", "full");
    let refused = refusal.into_response(portcullis_refusal::Dialect::Http, Told::default());

    assert_eq!(outcome(Until::Headers, Ok(refused), to_its_end).await, Outcome::Neutral);
}

#[tokio::test]
async fn statuses_can_be_moved() {
    let classifier = HttpClassifier::new()
        .failures([StatusCode::TOO_MANY_REQUESTS])
        .successes([StatusCode::SERVICE_UNAVAILABLE])
        .grpc_failures([GrpcStatus::Unknown]);
    let outcome = async |response| {
        let layer = CircuitBreakerLayer::new("test", policy()).classify_with(classifier.clone());
        call(&layer, Ok(response), to_its_end).await;
        counted(&layer.handle())
    };

    assert_eq!(outcome(status(StatusCode::TOO_MANY_REQUESTS)).await, Outcome::Failure);
    assert_eq!(outcome(status(StatusCode::SERVICE_UNAVAILABLE)).await, Outcome::Success);
    assert_eq!(outcome(trailers_only("2")).await, Outcome::Failure);
}

/// Blames the upstream for what is its fault alone.
#[derive(Clone, Default)]
struct ByFault(HttpClassifier);

impl Classify for ByFault {
    fn response<B>(&self, response: &Response<B>) -> Verdict {
        self.0.response(response)
    }

    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        self.0.trailers(trailers)
    }
}

impl ClassifyError<Fault> for ByFault {
    fn error(&self, error: &Fault) -> Outcome {
        match error {
            Fault::Client => Outcome::Neutral,
            Fault::Upstream => Outcome::Failure,
        }
    }
}

#[tokio::test]
async fn what_the_client_broke_counts_for_nothing_if_the_error_knows() {
    for (fault, expected) in
        [(Fault::Client, Outcome::Neutral), (Fault::Upstream, Outcome::Failure)]
    {
        let broken = Response::new(Told::new([word(), Err(fault)]));
        for result in [Err(fault), Ok(broken)] {
            let layer = CircuitBreakerLayer::new("test", policy().record_at(Until::LastByte));
            let layer = layer.classify_with(ByFault::default());
            call(&layer, result, to_its_end).await;
            assert_eq!(counted(&layer.handle()), expected, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_before_its_headers_counts_for_nothing() {
    let layer = CircuitBreakerLayer::new("test", policy());
    let service = layer.layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Told>, Fault>>()
    }));

    drop(tokio_test::task::spawn(service.oneshot(Request::new(()))).poll());

    assert_eq!(counted(&layer.handle()), Outcome::Neutral);
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_over_with_its_last_byte_and_has_the_deadline_anew_from_its_headers() {
    let policy = policy().consecutive_failures(NonZeroU32::MIN).record_at(Until::LastByte);
    let layer = CircuitBreakerLayer::new("test", policy);
    let circuit = layer.handle();
    call(&layer, Err(Fault::Upstream), to_its_end).await;
    advance(Duration::from_secs(1)).await;

    let service = service_fn(|_: Request<()>| async {
        advance(Duration::from_secs(4)).await;
        Ok::<_, Fault>(status(StatusCode::OK))
    });
    let mut body = layer.layer(service).oneshot(Request::new(())).await.unwrap().into_body();
    advance(Duration::from_secs(4)).await;
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    body.frame().await.unwrap().unwrap();
    assert_eq!(circuit.snapshot().probes(), 1);
    assert!(body.frame().await.is_none());

    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_streams_past_the_deadline_opens_it_again() {
    let policy = policy().consecutive_failures(NonZeroU32::MIN).record_at(Until::LastByte);
    let layer = CircuitBreakerLayer::new("test", policy);
    call(&layer, Err(Fault::Upstream), to_its_end).await;
    advance(Duration::from_secs(1)).await;

    call(&layer, Ok(status(StatusCode::OK)), async |body| {
        advance(Duration::from_secs(5)).await;
        assert_eq!(layer.handle().state(), CircuitState::Open);
        to_its_end(body).await;
    })
    .await;

    assert_eq!(layer.handle().snapshot().stale(), 1);
}

#[tokio::test]
async fn a_body_tells_of_itself_what_the_inner_one_does() {
    let layer = CircuitBreakerLayer::new("test", policy().record_at(Until::LastByte));
    let response =
        Ok(Response::new(Told { announced: true, ..Told::new([word(), trailers("0")]) }));
    call(&layer, response, async |mut body| {
        assert_eq!(body.size_hint().exact(), Some(7));
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "word");
        assert!(body.frame().await.unwrap().unwrap().is_trailers());
        assert!(body.is_end_stream() && body.frame().await.is_none());
    })
    .await;

    let empty = ResponseBody::<http_body_util::Full<Bytes>, HttpClassifier>::default();
    assert!(empty.is_end_stream());
}
