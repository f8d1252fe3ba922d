//! What a client gets of a download that breaks off.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{IF_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use portcullis_replica_failover::{
    FailoverPolicy, ReplayBody, Replica, ReplicaFailoverLayer, ReplicaSnapshot, Resume, ResumeBody,
    RetryBudget,
};
use proptest::prelude::*;
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};

type Sent = Request<ReplayBody<Empty<Bytes>>>;
type Store = BoxCloneSyncService<Sent, Response<Script>, io::Error>;
type Download = ResumeBody<Store, Empty<Bytes>, Script>;

/// A body that does what it is told.
#[derive(Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    alive: Arc<()>,
}

#[derive(Clone, Debug)]
enum Step {
    Data(Bytes),
    Trailers,
    Break(&'static str),
    Hang,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Step::Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
            Some(Step::Break(why)) => Some(Err(io::Error::other(why))),
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// How a replica answers.
#[derive(Clone, Debug)]
enum Has {
    /// The range asked for, as a replica should. It breaks off after so many bytes, in frames of so many.
    Right {
        breaks: Option<usize>,
        frame: usize,
    },
    /// The same, with one thing wrong that tells.
    Wrong(&'static str, &'static str),
    /// The right bytes up to the tenth, where it breaks off, with a header that is missing (without a value), or is this.
    Odd(&'static str, &'static str),
    /// Right, with trailers.
    Trailed,
    /// It hangs after ten bytes.
    Hangs,
    /// The right head, but the range begins this much further on.
    Shifted(usize),
    /// A right head with more bytes, or fewer.
    Longer,
    Shorter,
    /// All of it, whatever was asked for.
    Whole,
    Status(u16),
    Refuse,
    Silence,
}

const RIGHT: Has = Has::Right { breaks: None, frame: 7 };

const fn breaks(after: usize) -> Has {
    Has::Right { breaks: Some(after), frame: 7 }
}

/// A body of this length in which no two places look the same for long.
fn object(length: usize) -> Bytes {
    (0..length).map(|at| u8::try_from((at * 7 + at / 256) % 251).unwrap()).collect()
}

/// The first byte asked for, and the one after the last.
fn asked(headers: &HeaderMap, total: usize) -> Option<(usize, usize)> {
    let range = headers.get(RANGE)?.to_str().unwrap().strip_prefix("bytes=")?;
    let (first, last) = range.split_once('-')?;
    Some(match (first.parse(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, total.min(last + 1)),
        (Ok(first), Err(_)) => (first, total),
        (Err(_), Ok(suffix)) => (total.saturating_sub(suffix), total),
        (Err(_), Err(_)) => return None,
    })
}

impl Has {
    fn answer(&self, name: &'static str, headers: &HeaderMap, object: &Bytes) -> Response<Script> {
        let total = object.len();
        let range = match self {
            Self::Whole => None,
            _ => asked(headers, total),
        };
        let (first, end) = range.unwrap_or((0, total));
        let mut response = Response::new(Script::default());
        let head = response.headers_mut();
        head.insert("etag", "\"v1\"".parse().unwrap());
        head.insert("content-length", (end - first).into());
        let mut data = object.slice(first..end);
        if range.is_some() {
            let shift = if let Self::Shifted(shift) = self { *shift } else { 0 };
            let (from, to) = (first + shift, end - 1 + shift);
            let range = format!("bytes {from}-{to}/{}", total + shift);
            head.insert("content-range", range.parse().unwrap());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let mut frame = 7;
        let mut last = None;
        match self {
            Self::Right { breaks: Some(after), frame: size } if *after <= data.len() => {
                data.truncate(*after);
                (frame, last) = (*size, Some(Step::Break(name)));
            }
            Self::Right { frame: size, .. } => frame = *size,
            Self::Wrong(name, value) => {
                let head = response.headers_mut();
                head.insert(HeaderName::from_static(name), value.parse().unwrap());
                data = data.iter().map(|byte| !byte).collect();
            }
            Self::Shifted(_) => data = data.iter().map(|byte| !byte).collect(),
            Self::Longer => data = [&data[..], b"more"].concat().into(),
            Self::Shorter => data.truncate(data.len() / 2),
            Self::Status(status) => *response.status_mut() = (*status).try_into().unwrap(),
            Self::Odd(name, value) => {
                let (head, name) = (response.headers_mut(), HeaderName::from_static(name));
                head.remove(&name);
                if !value.is_empty() {
                    head.insert(name, value.parse().unwrap());
                }
                data.truncate(10);
                last = Some(Step::Break("a"));
            }
            Self::Trailed => last = Some(Step::Trailers),
            Self::Hangs => {
                data.truncate(10);
                last = Some(Step::Hang);
            }
            Self::Whole | Self::Refuse | Self::Silence => {}
        }
        let frames = data.chunks(frame.max(1)).map(|chunk| Step::Data(data.slice_ref(chunk)));
        response.body_mut().steps = frames.chain(last).collect();
        response
    }
}

/// Replicas `a`, `b`, … that answer so, one after the other, the last again and again.
struct Stores {
    replicas: Vec<(&'static str, Arc<Mutex<VecDeque<Has>>>)>,
    object: Bytes,
    /// Who was asked, and with which headers.
    log: Arc<Mutex<Vec<(&'static str, HeaderMap)>>>,
    /// Held by every body.
    alive: Arc<()>,
}

impl Stores {
    fn new(length: usize, answers: &[&[Has]]) -> Self {
        let replica = |(name, has): (&&'static str, &&[Has])| {
            (*name, Arc::new(Mutex::new(has.iter().cloned().collect())))
        };
        let names = ["a", "b", "c", "d", "e", "f"];
        Self {
            replicas: names.iter().zip(answers).map(replica).collect(),
            object: object(length),
            log: Arc::default(),
            alive: Arc::default(),
        }
    }

    fn list(&self) -> Vec<Replica<Store>> {
        let names = self.replicas.iter().map(|(name, _)| *name);
        names.zip(self.services()).map(|(name, store)| Replica::new(name, store)).collect()
    }

    fn services(&self) -> Vec<Store> {
        let store = |(name, answers): &(&'static str, Arc<Mutex<VecDeque<Has>>>)| {
            let (name, answers) = (*name, answers.clone());
            let (object, log) = (self.object.clone(), self.log.clone());
            let alive = self.alive.clone();
            let service = service_fn(move |request: Sent| {
                log.lock().unwrap().push((name, request.headers().clone()));
                let has = {
                    let mut answers = answers.lock().unwrap();
                    if answers.len() > 1 {
                        answers.pop_front().unwrap()
                    } else {
                        answers[0].clone()
                    }
                };
                let mut response = has.answer(name, request.headers(), &object);
                response.body_mut().alive = alive.clone();
                async move {
                    match has {
                        Has::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
                        Has::Silence => pending().await,
                        _ => Ok(response),
                    }
                }
            });
            BoxCloneSyncService::new(service)
        };
        self.replicas.iter().map(store).collect()
    }

    fn reached(&self) -> Vec<&'static str> {
        self.log.lock().unwrap().iter().map(|(name, _)| *name).collect()
    }

    /// What the last request asked for.
    fn last(&self, name: HeaderName) -> Option<String> {
        let log = self.log.lock().unwrap();
        Some(log.last()?.1.get(name)?.to_str().unwrap().to_owned())
    }
}

fn get(range: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    if let Some(range) = range {
        request.headers_mut().insert(RANGE, range.parse().unwrap());
    }
    request
}

async fn download(
    layer: &ReplicaFailoverLayer,
    stores: &Stores,
    request: Request<Empty<Bytes>>,
) -> Response<Download> {
    layer.layer(stores.list()).oneshot(request).await.unwrap()
}

/// What came, and how it ended.
async fn read(mut body: Download) -> (Vec<u8>, Result<(), String>) {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => all.extend(frame.into_data().unwrap_or_default()),
            Err(error) => {
                assert!(body.frame().await.is_none(), "a frame after the error");
                return (all, Err(error.to_string()));
            }
        }
        assert!(!body.is_end_stream() || body.size_hint().lower() == 0);
    }
    (all, Ok(()))
}

async fn fetch(stores: &Stores, range: Option<&str>) -> (Vec<u8>, Result<(), String>) {
    let layer = ReplicaFailoverLayer::default();
    read(download(&layer, stores, get(range)).await.into_body()).await
}

#[tokio::test]
async fn a_download_goes_on_from_the_next_byte_wherever_it_breaks() {
    for at in [0, 1, 7, 50, 99] {
        let stores = Stores::new(100, &[&[breaks(at)], &[RIGHT]]);

        assert_eq!(fetch(&stores, None).await, (object(100).to_vec(), Ok(())), "{at}");

        assert_eq!(stores.reached(), ["a", "b"]);
        assert_eq!(stores.last(RANGE).unwrap(), format!("bytes={at}-"));
        assert_eq!(stores.last(IF_RANGE).unwrap(), "\"v1\"");
    }
}

#[tokio::test]
async fn after_the_last_byte_nothing_is_missing_and_nobody_is_asked() {
    let stores = Stores::new(100, &[&[breaks(100)], &[RIGHT]]);

    assert_eq!(fetch(&stores, None).await, (object(100).to_vec(), Ok(())));

    assert_eq!(stores.reached(), ["a"]);
}

#[tokio::test]
async fn the_range_of_the_client_is_where_the_rest_is_counted_from_and_ends() {
    for (range, rest, (first, end)) in [
        ("bytes=5-99", "bytes=15-99", (5, 100)),
        ("bytes=5-", "bytes=15-", (5, 200)),
        ("bytes=-20", "bytes=190-", (180, 200)),
        ("bytes=150-999", "bytes=160-", (150, 200)),
    ] {
        let stores = Stores::new(200, &[&[breaks(10)], &[RIGHT]]);

        let expected = (object(200)[first..end].to_vec(), Ok(()));
        assert_eq!(fetch(&stores, Some(range)).await, expected, "{range}");

        assert_eq!(stores.last(RANGE).unwrap(), rest);
    }
}

#[tokio::test]
async fn a_store_that_knows_no_if_range_is_asked_with_if_match() {
    let stores = Stores::new(100, &[&[breaks(10)], &[RIGHT]]);
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().resume(Resume::IfMatch));

    let response = download(&layer, &stores, get(None)).await;

    assert_eq!(read(response.into_body()).await, (object(100).to_vec(), Ok(())));
    assert_eq!(stores.last(IF_MATCH).unwrap(), "\"v1\"");
    assert_eq!(stores.last(IF_RANGE), None);
}

/// Answers that are not the rest of what the client has begun to read.
fn unfit() -> Vec<Has> {
    vec![
        Has::Wrong("etag", "\"v2\""),
        Has::Wrong("etag", "W/\"v1\""),
        Has::Wrong("content-range", "bytes 11-99/100"),
        Has::Wrong("content-range", "bytes 10-98/100"),
        Has::Wrong("content-range", "bytes 10-99/101"),
        Has::Wrong("content-range", "bytes 10-99/*"),
        Has::Wrong("content-range", "nonsense"),
        Has::Wrong("content-length", "91"),
        Has::Wrong("content-encoding", "gzip"),
        Has::Wrong("content-type", "multipart/byteranges; boundary=x"),
        Has::Shifted(1),
        Has::Whole,
        Has::Status(200),
        Has::Status(404),
        Has::Status(412),
        Has::Status(416),
        Has::Status(503),
        Has::Refuse,
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_rest_of_the_same_thing_is_never_mixed_in() {
    for has in unfit() {
        let stores = Stores::new(100, &[&[breaks(10), Has::Refuse], std::slice::from_ref(&has)]);

        let (all, end) = fetch(&stores, None).await;

        assert_eq!((all, end), (object(100)[..10].to_vec(), Err("a".to_owned())), "{has:?}");
    }
}

#[tokio::test]
async fn after_one_that_has_something_else_the_next_is_asked() {
    for has in unfit() {
        let stores =
            Stores::new(100, &[&[breaks(10)], std::slice::from_ref(&has), &[breaks(20)], &[RIGHT]]);

        assert_eq!(fetch(&stores, None).await, (object(100).to_vec(), Ok(())), "{has:?}");

        assert_eq!(stores.reached(), ["a", "b", "c", "d"]);
        assert_eq!(stores.last(RANGE).unwrap(), "bytes=30-");
    }
}

#[tokio::test]
async fn a_part_with_more_or_fewer_bytes_than_it_says_is_left_for_another() {
    for has in [Has::Longer, Has::Shorter] {
        let stores = Stores::new(100, &[&[breaks(10)], std::slice::from_ref(&has), &[RIGHT]]);

        assert_eq!(fetch(&stores, None).await, (object(100).to_vec(), Ok(())), "{has:?}");
    }
}

#[tokio::test]
async fn a_body_that_ends_before_its_time_is_broken_and_one_that_does_not_end_is_passed_on() {
    let stores = Stores::new(100, &[&[Has::Shorter], &[RIGHT]]);
    assert_eq!(fetch(&stores, None).await, (object(100).to_vec(), Ok(())));

    let stores = Stores::new(100, &[&[Has::Longer], &[RIGHT]]);
    let whole = [&object(100)[..], b"more"].concat();
    assert_eq!(fetch(&stores, None).await, (whole, Ok(())));
}

#[tokio::test]
async fn without_proof_that_it_is_the_same_a_broken_body_ends_in_its_error() {
    for (name, value) in [
        ("etag", ""),
        ("etag", "W/\"v1\""),
        ("etag", "v1"),
        ("content-length", ""),
        ("content-encoding", "gzip"),
        ("content-type", "multipart/byteranges; boundary=x"),
        ("trailer", "x-checksum"),
    ] {
        let stores = Stores::new(100, &[&[Has::Odd(name, value)], &[RIGHT]]);

        let expected = (object(100)[..10].to_vec(), Err("a".to_owned()));
        assert_eq!(fetch(&stores, None).await, expected, "{name}: {value}");

        assert_eq!(stores.reached(), ["a"]);
    }
}

#[tokio::test]
async fn only_the_answer_to_a_get_that_may_go_on_is_resumed() {
    let mut post = get(None);
    *post.method_mut() = Method::POST;
    let mut put = get(None);
    *put.method_mut() = Method::PUT;
    let none = FailoverPolicy::new().max_resumes(0);
    for (policy, request) in
        [(FailoverPolicy::new(), post), (FailoverPolicy::new(), put), (none, get(None))]
    {
        let stores = Stores::new(100, &[&[breaks(10)], &[RIGHT]]);
        let layer = ReplicaFailoverLayer::new(policy);

        let response = download(&layer, &stores, request).await;

        let expected = (object(100)[..10].to_vec(), Err("a".to_owned()));
        assert_eq!(read(response.into_body()).await, expected);
        assert_eq!((stores.reached(), layer.handle().broken_off()), (vec!["a"], 0));
    }
}

#[tokio::test]
async fn the_status_and_the_headers_stay_those_of_the_first() {
    let stores = Stores::new(100, &[&[breaks(10)], &[RIGHT]]);

    let response = download(&ReplicaFailoverLayer::default(), &stores, get(None)).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-length"], "100");
    assert_eq!(response.body().size_hint().exact(), Some(100));
    let mut body = response.into_body();
    for left in [93, 90, 83, 76] {
        body.frame().await.unwrap().unwrap();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(left), false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_is_asked_for_again_no_more_often_than_the_policy_says() {
    let policy = FailoverPolicy::new().max_resumes(2);
    let stores = Stores::new(100, &[&[breaks(10)], &[breaks(10)], &[breaks(10)], &[RIGHT]]);
    let layer = ReplicaFailoverLayer::new(policy);

    let response = download(&layer, &stores, get(None)).await;

    let expected = (object(100)[..30].to_vec(), Err("c".to_owned()));
    assert_eq!(read(response.into_body()).await, expected);
    assert_eq!((layer.handle().resumed(), layer.handle().broken_off()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_is_asked_again_after_a_wait_if_there_is_no_other_and_the_budget_allows() {
    let stores = || Stores::new(100, &[&[breaks(10), RIGHT], &[Has::Status(404)]]);
    let began = Instant::now();

    let once = stores();
    assert_eq!(fetch(&once, None).await, (object(100).to_vec(), Ok(())));
    assert_eq!(once.reached(), ["a", "b", "a"]);
    assert!(began.elapsed() >= Duration::from_millis(12), "{:?}", began.elapsed());

    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().budget(RetryBudget::new(0, 0)));
    let response = download(&layer, &stores(), get(None)).await;
    assert_eq!(read(response.into_body()).await.1, Err("a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_answer_costs_no_more_than_the_limit_of_an_attempt() {
    let stores = Stores::new(100, &[&[breaks(10)], &[Has::Silence], &[RIGHT]]);
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().per_try(Duration::from_secs(3)));
    let began = Instant::now();

    let response = download(&layer, &stores, get(None)).await;

    assert_eq!(read(response.into_body()).await, (object(100).to_vec(), Ok(())));
    let took = began.elapsed();
    assert!((3_000..3_010).contains(&took.as_millis()), "{took:?}");
}

/// A store that is not ready after the first request.
#[derive(Clone)]
struct ReadyOnce {
    store: Store,
    called: Arc<AtomicBool>,
}

impl Service<Sent> for ReadyOnce {
    type Response = Response<Script>;
    type Error = io::Error;
    type Future = <Store as Service<Sent>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.called.load(Ordering::Relaxed) { Poll::Pending } else { self.store.poll_ready(cx) }
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        self.called.store(true, Ordering::Relaxed);
        self.store.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_is_passed_over_and_waited_for_only_if_there_is_no_other() {
    for (name, answers, took, end) in [
        ("another", &[RIGHT][..], 0, Ok(())),
        ("none", &[Has::Status(404)][..], 1_000, Err("a".to_owned())),
    ] {
        let stores = Stores::new(100, &[&[breaks(10)], &[RIGHT], answers]);
        // The second has had its one request.
        let called = [false, true, false].map(|called| Arc::new(AtomicBool::new(called)));
        let list = ["a", "b", "c"].into_iter().zip(stores.services()).zip(called);
        let list = list.map(|((name, store), called)| {
            Replica::new(name, BoxCloneSyncService::new(ReadyOnce { store, called }))
        });
        let service = ReplicaFailoverLayer::default().layer(list.collect());
        let response = service.oneshot(get(None)).await.unwrap();
        let began = Instant::now();

        assert_eq!(read(response.into_body()).await.1, end, "{name}");

        let waited = began.elapsed().as_millis();
        assert!((took..=took * 3 + 500).contains(&waited), "{name}: {waited}");
        assert_eq!(stores.reached(), ["a", "c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_the_attempt_for_the_rest_with_it() {
    let stores = Stores::new(100, &[&[breaks(0)], &[Has::Silence]]);
    let layer = ReplicaFailoverLayer::default();
    let mut body = download(&layer, &stores, get(None)).await.into_body();
    let in_flight = || {
        let replicas = layer.handle().snapshot();
        replicas.iter().map(ReplicaSnapshot::in_flight).collect::<Vec<_>>()
    };
    assert_eq!(in_flight(), [1, 0]);

    let mut frame = spawn(body.frame());
    assert_pending!(frame.poll());
    assert_eq!(in_flight(), [0, 1]);
    drop(frame);
    drop(body);

    assert_eq!(in_flight(), [0, 0]);
    assert_eq!(stores.reached(), ["a", "b"]);
}

#[tokio::test]
async fn the_replica_that_goes_on_has_it_in_hand_and_the_one_that_broke_off_counts_as_failed() {
    let stores = Stores::new(100, &[&[breaks(10)], &[Has::Hangs]]);
    let layer = ReplicaFailoverLayer::default();
    let mut body = download(&layer, &stores, get(None)).await.into_body();
    for _ in 0..4 {
        body.frame().await.unwrap().unwrap();
    }
    assert_pending!(spawn(body.frame()).poll());

    let replicas = layer.handle().snapshot();
    let seen = replicas.iter().map(|one| (one.in_flight(), one.last_failure().is_some()));
    assert_eq!(seen.collect::<Vec<_>>(), [(0, true), (1, false)]);
    assert!(replicas[0].stands_back());
    assert_eq!(Arc::strong_count(&stores.alive), 4, "two replicas, one body, and this");
}

#[tokio::test]
async fn trailers_are_those_of_the_whole_or_none() {
    let trailers = async |answers: &[&[Has]]| {
        let response =
            download(&ReplicaFailoverLayer::default(), &Stores::new(100, answers), get(None)).await;
        let all = response.into_body().collect().await.unwrap();
        (all.trailers().is_some(), all.to_bytes().len())
    };

    assert_eq!(trailers(&[&[Has::Trailed], &[RIGHT]]).await, (true, 100));
    assert_eq!(trailers(&[&[breaks(10)], &[Has::Trailed]]).await, (false, 100));
}

#[tokio::test]
async fn a_body_that_breaks_at_once_is_asked_for_without_a_wait() {
    let stores = Stores::new(100, &[&[breaks(0)], &[RIGHT]]);
    let mut body = download(&ReplicaFailoverLayer::default(), &stores, get(None)).await.into_body();

    let frame = assert_ready!(spawn(body.frame()).poll()).unwrap().unwrap();

    assert_eq!(frame.into_data().unwrap(), object(7));
}

#[test]
fn bodies_cross_threads() {
    fn crosses<T: Send + Unpin>() {}
    crosses::<Download>();
    crosses::<Resume>();
    fn defaults<T: Default>() {}
    defaults::<Download>();
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn what_becomes_of_broken_responses_is_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let layer = ReplicaFailoverLayer::default().named("photos");
    let answers: &[&[Has]] =
        &[&[breaks(10), Has::Refuse], &[Has::Wrong("etag", "\"v2\"")], &[breaks(10), Has::Refuse]];

    let response = download(&layer, &Stores::new(100, answers), get(None)).await;
    assert_eq!(read(response.into_body()).await.1, Err("c".to_owned()));

    let scrape = recorder.handle().render();
    for (outcome, count) in [("resumed", 1), ("differs", 1), ("failed", 1), ("gave_up", 1)] {
        let line = format!(
            "\nreplica_failover_resumes_total{{upstream=\"photos\",outcome=\"{outcome}\"}} {count}\n"
        );
        assert!(scrape.contains(&line), "{line} in\n{scrape}");
    }
}

fn has() -> impl Strategy<Value = Has> {
    let right = (prop::option::weighted(0.7, 0_usize..300), 1_usize..40)
        .prop_map(|(breaks, frame)| Has::Right { breaks, frame });
    let other = vec![Has::Longer, Has::Shorter, Has::Silence, Has::Trailed];
    prop_oneof![4 => right, 2 => prop::sample::select([unfit(), other].concat())]
}

fn range() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        (0_usize..100, 100_usize..300)
            .prop_map(|(first, last)| Some(format!("bytes={first}-{last}"))),
        (0_usize..100).prop_map(|first| Some(format!("bytes={first}-"))),
        (1_usize..100).prop_map(|suffix| Some(format!("bytes=-{suffix}"))),
    ]
}

proptest! {
    #[test]
    fn a_client_gets_exactly_the_object_or_sees_that_it_does_not(
        length in 101_usize..300,
        range in range(),
        first in (prop::option::weighted(0.9, 0_usize..300), 1_usize..40),
        answers in prop::collection::vec(prop::collection::vec(has(), 1..4), 1..6),
        most in 0_u32..8,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let first = Has::Right { breaks: first.0, frame: first.1 };
            let mut answers = answers;
            answers[0].insert(0, first);
            answers.push(vec![RIGHT]);
            let lists: Vec<&[Has]> = answers.iter().map(Vec::as_slice).collect();
            let stores = Stores::new(length, &lists[..lists.len().min(6)]);
            let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().max_resumes(most));
            let whole = object(length);
            let mut headers = HeaderMap::new();
            if let Some(range) = &range {
                headers.insert(RANGE, range.parse().unwrap());
            }
            let (from, to) = asked(&headers, length).unwrap_or((0, length));
            let promised = &whole[from..to];

            let response = download(&layer, &stores, get(range.as_deref())).await;
            let (all, end) = read(response.into_body()).await;

            prop_assert!(promised.starts_with(&all), "{} of {}", all.len(), promised.len());
            let complete = all.len() == promised.len();
            // One that is not watched may break after its last byte.
            prop_assert!(complete == end.is_ok() || (complete && most == 0));
            prop_assert!(stores.reached().len() <= 1 + most as usize);
            let broken = layer.handle().broken_off();
            prop_assert_eq!(broken, u64::from(end.is_err() && most > 0));
            Ok(())
        })?;
    }
}
