//! Which requests are sent to a second replica while the first may still answer, and whose answer is whose.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use portcullis_replica_failover::{
    Attempts, FailoverPolicy, Hedge, Order, Reason, ReplayBody, ReplayBodyError, Replica,
    ReplicaFailover, ReplicaFailoverLayer, ReplicaSnapshot, RetryBudget, Unserved,
};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tower::limit::ConcurrencyLimit;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Upload = UnsyncBoxBody<Bytes, Infallible>;
type Sent = Request<ReplayBody<Upload>>;
type Answer = Response<Full<Bytes>>;

/// What a replica does with a request: its answer, and how long that takes.
type Fate = (Duration, u16);

/// Stands for a connection that breaks.
const BROKEN: u16 = 0;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Asked(&'static str),
    Answered(&'static str),
    Cancelled(&'static str),
}

/// What has happened, and when.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Seen, Instant)>>>);

impl Log {
    fn note(&self, seen: Seen) {
        self.0.lock().unwrap().push((seen, Instant::now()));
    }

    fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().iter().map(|(seen, _)| *seen).collect()
    }

    fn asked(&self) -> Vec<&'static str> {
        let asked = |seen| if let Seen::Asked(name) = seen { Some(name) } else { None };
        self.seen().into_iter().filter_map(asked).collect()
    }
}

/// Notes that its attempt was dropped, unless it was answered.
struct Attempt {
    log: Log,
    name: &'static str,
    answered: bool,
}

impl Attempt {
    fn ends(mut self) {
        self.answered = true;
        self.log.note(Seen::Answered(self.name));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.answered {
            self.log.note(Seen::Cancelled(self.name));
        }
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

type Inner = BoxCloneSyncService<Sent, Answer, io::Error>;

/// A replica that reads the request, and meets one fate after the other, the last again and again.
fn service(name: &'static str, fates: &[Fate], log: &Log) -> Inner {
    let (fates, next, log) = (fates.to_vec(), Arc::new(AtomicUsize::new(0)), log.clone());
    BoxCloneSyncService::new(service_fn(move |request: Sent| {
        let turn = next.fetch_add(1, Ordering::Relaxed).min(fates.len() - 1);
        let (time, status) = fates[turn];
        log.note(Seen::Asked(name));
        let attempt = Attempt { log: log.clone(), name, answered: false };
        async move {
            let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
            assert!(body.is_empty() || body == "upload");
            sleep(time).await;
            attempt.ends();
            let status = match status {
                BROKEN => return Err(io::Error::other("broken")),
                status => StatusCode::from_u16(status).unwrap(),
            };
            let mut response = Response::new(Full::from(name));
            *response.status_mut() = status;
            Ok(response)
        }
    }))
}

fn replicas(fates: &[&[Fate]], log: &Log) -> Vec<Replica<Inner>> {
    let replica =
        |(name, fates): (&&'static str, &&[Fate])| Replica::new(*name, service(name, fates, log));
    NAMES.iter().zip(fates).map(replica).collect()
}

fn layer(policy: FailoverPolicy) -> ReplicaFailoverLayer {
    ReplicaFailoverLayer::new(policy).tell_always()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hedged() -> FailoverPolicy {
    FailoverPolicy::new().hedge(Hedge::after(millis(50)))
}

fn request(method: Method) -> Request<Upload> {
    Request::builder().method(method).body(Full::from("upload").boxed_unsync()).unwrap()
}

fn get() -> Request<Upload> {
    Request::new(Empty::new().boxed_unsync())
}

type Over = ReplicaFailover<Inner>;

/// The answer's status and replica, after how many milliseconds, of how many attempts.
#[derive(Debug, Eq, PartialEq)]
struct Served {
    status: u16,
    by: Option<String>,
    after: u128,
    attempts: u32,
    trail: Vec<(String, Reason)>,
}

async fn ask(service: &Over, request: Request<Upload>) -> Served {
    let began = Instant::now();
    let response = service.clone().oneshot(request).await.unwrap();
    let attempts = response.extensions().get::<Attempts>().unwrap();
    Served {
        status: response.status().as_u16(),
        by: attempts.served_by().map(str::to_owned),
        after: began.elapsed().as_millis(),
        attempts: attempts.count(),
        trail: attempts
            .trail()
            .iter()
            .map(|one| (one.replica().to_owned(), one.reason()))
            .collect(),
    }
}

fn served(status: u16, by: &str, after: u128, attempts: u32) -> Served {
    Served { status, by: Some(by.to_owned()), after, attempts, trail: Vec::new() }
}

const FAST: Fate = (millis(10), 200);
const SLOW: Fate = (millis(1_000), 200);

#[tokio::test(start_paused = true)]
async fn a_slow_replica_is_overtaken_by_another_and_its_attempt_dropped() {
    let log = Log::default();
    let layer = layer(hedged());
    let service = layer.layer(replicas(&[&[SLOW], &[FAST]], &log));

    assert_eq!(ask(&service, get()).await, served(200, "b", 60, 2));

    use Seen::{Answered, Asked, Cancelled};
    assert_eq!(log.seen(), [Asked("a"), Asked("b"), Answered("b"), Cancelled("a")]);
    let snapshot = layer.handle().snapshot();
    assert!(snapshot.iter().all(|one| one.in_flight() == 0 && one.last_failure().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_has_the_response_if_it_is_the_faster_one_after_all() {
    let log = Log::default();
    let service = layer(hedged()).layer(replicas(&[&[(millis(55), 200)], &[FAST]], &log));

    assert_eq!(ask(&service, get()).await, served(200, "a", 55, 2));

    assert_eq!(log.seen().last(), Some(&Seen::Cancelled("b")));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_by_default_nor_before_it_is_time() {
    for (policy, fate) in [(FailoverPolicy::new(), SLOW), (hedged(), (millis(50), 200))] {
        let log = Log::default();
        let service = layer(policy).layer(replicas(&[&[fate], &[FAST]], &log));

        assert_eq!(ask(&service, get()).await.attempts, 1);

        assert_eq!(log.asked(), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_that_is_no_failure_is_passed_on_and_not_the_first_answer() {
    for fate in [(millis(1), 503), (millis(1), BROKEN)] {
        let log = Log::default();
        let service = layer(hedged()).layer(replicas(&[&[(millis(200), 200)], &[fate]], &log));

        let answer = ask(&service, get()).await;

        assert_eq!((answer.status, answer.by.as_deref(), answer.after), (200, Some("a"), 200));
        assert_eq!(answer.trail.len(), 1);
        assert_eq!(answer.trail[0].0, "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_for_the_attempt_beside_it_and_only_then_goes_on() {
    let log = Log::default();
    let late = (millis(100), 503);
    let service = layer(hedged()).layer(replicas(&[&[late], &[late], &[FAST]], &log));

    let answer = ask(&service, get()).await;

    assert_eq!((answer.by.as_deref(), answer.after, answer.attempts), (Some("c"), 160, 3));
    assert_eq!(log.asked(), ["a", "b", "c"]);
    assert_eq!(answer.trail.iter().map(|(name, _)| &**name).collect::<String>(), "ab");
}

#[tokio::test(start_paused = true)]
async fn when_both_fail_and_nobody_is_left_the_answer_says_so() {
    let log = Log::default();
    let policy = hedged().max_attempts(NonZeroU32::new(2).unwrap());
    let service =
        layer(policy).layer(replicas(&[&[(millis(100), 503)], &[(millis(100), 500)]], &log));

    let response = service.oneshot(get()).await.unwrap();

    assert_eq!(response.status(), 502);
    assert_eq!(response.extensions().get::<Unserved>(), Some(&Unserved::AllFailed));
    assert_eq!(response.extensions().get::<Attempts>().unwrap().trail().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_safe_to_repeat_is_never_hedged() {
    let policy = hedged().idempotency_key(HeaderName::from_static("idempotency-key"));
    for (method, key, attempts) in [
        (Method::POST, "", 1),
        (Method::PATCH, "", 1),
        (Method::POST, "7", 2),
        (Method::PUT, "", 2),
        (Method::GET, "", 2),
    ] {
        let log = Log::default();
        let service = layer(policy.clone()).layer(replicas(&[&[SLOW], &[FAST]], &log));
        let mut request = request(method);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());

        assert_eq!(ask(&service, request).await.attempts, attempts);
        assert_eq!(log.asked().len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_goes_to_no_replica_that_is_asked_already_or_may_not_be() {
    let log = Log::default();
    let spoilt = Arc::new(AtomicBool::new(false));
    let mut list = replicas(&[&[SLOW], &[FAST], &[FAST], &[(millis(0), 503), FAST]], &log);
    let admits = spoilt.clone();
    let second = list.remove(1).admits(move || admits.load(Ordering::Relaxed));
    list.insert(1, second);
    let layer = layer(hedged());
    let service = layer.layer(list);
    layer.handle().set_enabled("c", false);
    layer.handle().set_enabled("a", false);
    ask(&service, get()).await; // which fails at d
    layer.handle().set_enabled("a", true);

    assert_eq!(ask(&service, get()).await, served(200, "a", 1_000, 1));

    spoilt.store(true, Ordering::Relaxed);
    assert_eq!(ask(&service, get()).await, served(200, "b", 60, 2));
}

#[tokio::test(start_paused = true)]
async fn a_busy_replica_is_not_waited_for_but_passed_over() {
    let log = Log::default();
    let b = BoxCloneSyncService::new(ConcurrencyLimit::new(service("b", &[SLOW], &log), 1));
    let list = [
        Replica::new("a", service("a", &[SLOW], &log)),
        Replica::new("b", b.clone()),
        Replica::new("c", service("c", &[FAST], &log)),
    ];
    let service = layer(hedged()).layer(list.into());
    let busy = tokio::spawn(b.oneshot(Request::new(ReplayBody::default())));
    tokio::task::yield_now().await;

    assert_eq!(ask(&service, get()).await, served(200, "c", 60, 2));

    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn one_request_is_hedged_once_unless_it_may_be_more_often_and_never_beyond_its_attempts() {
    for (max, attempts, asked) in [(1, 4, "ab"), (2, 4, "abc"), (9, 4, "abcd"), (9, 2, "ab")] {
        let log = Log::default();
        let count = |count| NonZeroU32::new(count).unwrap();
        let policy = FailoverPolicy::new()
            .hedge(Hedge::after(millis(50)).max(count(max)))
            .max_attempts(count(attempts));
        let service = layer(policy).layer(replicas(&[&[SLOW], &[SLOW], &[SLOW], &[SLOW]], &log));

        assert_eq!(ask(&service, get()).await.after, 1_000);

        assert_eq!(log.asked().concat(), asked);
        let times: Vec<_> = log.0.lock().unwrap().iter().map(|(_, at)| *at).collect();
        assert!(times[..asked.len()].windows(2).all(|pair| pair[1] - pair[0] >= millis(50)));
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_keep_to_the_budget() {
    let log = Log::default();
    let policy = hedged().budget(RetryBudget::new(20, 0));
    let service = layer(policy).layer(replicas(&[&[(millis(100), 200)], &[SLOW]], &log));

    for _ in 0..100 {
        ask(&service, get()).await;
    }

    let hedges = log.asked().iter().filter(|name| **name == "b").count();
    assert!((20..=21).contains(&hedges), "{hedges}");
}

#[tokio::test(start_paused = true)]
async fn a_percentile_is_waited_for_once_it_is_known() {
    let log = Log::default();
    let hedge = Hedge::after(millis(5)).percentile(90).samples(NonZeroU32::new(20).unwrap());
    let policy = FailoverPolicy::new().hedge(hedge).budget(RetryBudget::new(100, 100));
    let mut fates = [(millis(40), 200); 30].to_vec();
    (fates[3], fates[25]) = (SLOW, SLOW);
    let service = layer(policy).layer(replicas(&[&fates, &[FAST]], &log));

    for index in 0..30 {
        let answer = ask(&service, get()).await;
        match index {
            3 => assert_eq!(answer.after, 1_000, "too little is known"),
            25 => assert!((50..60).contains(&answer.after) && answer.attempts == 2, "{answer:?}"),
            _ => assert_eq!(answer.attempts, 1),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_overtaken_counts_as_slow_so_that_hedges_do_not_make_more_hedges() {
    let log = Log::default();
    let hedge = Hedge::after(millis(1)).percentile(80).samples(NonZeroU32::new(20).unwrap());
    let policy = FailoverPolicy::new().hedge(hedge).budget(RetryBudget::new(100, 1_000));
    let fates: Vec<_> = (0..400).map(|turn| (millis(turn % 10 * 10 + 10), 200)).collect();
    let service = layer(policy).layer(replicas(&[&fates, &[(millis(1), 200)]], &log));

    for _ in 0..400 {
        ask(&service, get()).await;
    }

    let hedges = log.asked().iter().filter(|name| **name == "b").count();
    assert!((30..=100).contains(&hedges), "{hedges}");
}

#[tokio::test(start_paused = true)]
async fn what_was_overtaken_counts_as_slow_where_the_faster_replica_is_picked() {
    let log = Log::default();
    let policy = hedged().order(Order::PeakEwma);
    let service = layer(policy).layer(replicas(&[&[SLOW], &[(millis(40), 200)]], &log));

    for _ in 0..20 {
        ask(&service, get()).await;
    }

    let slow = log.asked().iter().filter(|name| **name == "a").count();
    assert!(slow <= 2, "{slow}");
}

/// An upload that comes as the client sends it.
struct Dribble(mpsc::UnboundedReceiver<&'static str>);

impl Body for Dribble {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|text| text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

/// A replica that reads on in the background, as a connection does, and answers after a time.
fn connection(time: Duration) -> (Inner, mpsc::UnboundedReceiver<Result<Bytes, bool>>) {
    let (reader, read) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Sent| {
        let (reader, mut body) = (reader.clone(), request.into_body());
        tokio::spawn(async move {
            while let Some(frame) = body.frame().await {
                let cut = |error| matches!(error, ReplayBodyError::Cut);
                let frame = frame.map(|frame| frame.into_data().unwrap()).map_err(cut);
                if reader.send(frame.clone()).is_err() || frame.is_err() {
                    break;
                }
            }
        });
        async move {
            sleep(time).await;
            Ok::<_, io::Error>(Response::default())
        }
    });
    (BoxCloneSyncService::new(service), read)
}

fn dribbled() -> (mpsc::UnboundedSender<&'static str>, Request<Upload>) {
    let (client, frames) = mpsc::unbounded_channel();
    let request = Request::put("/").body(Dribble(frames).boxed_unsync()).unwrap();
    (client, request)
}

#[tokio::test(start_paused = true)]
async fn both_attempts_have_all_of_an_upload_and_the_one_that_loses_is_cut_off() {
    for (times, winner) in [([1_000, 10], 1), ([70, 1_000], 0)] {
        let ((a, read_a), (b, read_b)) =
            (connection(millis(times[0])), connection(millis(times[1])));
        let service = layer(hedged()).layer(vec![Replica::new("a", a), Replica::new("b", b)]);
        let (client, upload) = dribbled();
        client.send("up").unwrap();
        let served = tokio::spawn(async move { ask(&service, upload).await });
        sleep(millis(55)).await;
        client.send("lo").unwrap();
        let mut read = [read_a, read_b];
        for one in &mut read {
            assert_eq!(one.recv().await, Some(Ok("up".into())));
            assert_eq!(one.recv().await, Some(Ok("lo".into())));
        }

        assert_eq!(served.await.unwrap().by.as_deref(), Some(NAMES[winner]));
        client.send("ad").unwrap();

        assert_eq!(read[1 - winner].recv().await, Some(Err(true)), "cut off, and not ended");
        assert_eq!(read[winner].recv().await, Some(Ok("ad".into())));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_of_an_upload_and_not_kept_is_not_hedged() {
    let (a, mut read) = connection(millis(1_000));
    let log = Log::default();
    let list = vec![Replica::new("a", a), Replica::new("b", service("b", &[FAST], &log))];
    let service = layer(hedged().max_replay(3)).layer(list);
    let (client, upload) = dribbled();
    client.send("up").unwrap();
    client.send("load").unwrap();

    assert_eq!(ask(&service, upload).await, served(200, "a", 1_000, 1));

    assert_eq!(read.recv().await, Some(Ok("up".into())));
    assert!(log.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_all_attempts_ends_those_under_way() {
    let log = Log::default();
    let policy = hedged().within(millis(300));
    let service = layer(policy).layer(replicas(&[&[SLOW], &[SLOW]], &log));

    let answer = ask(&service, get()).await;

    assert_eq!((answer.status, answer.by, answer.after), (504, None, 300));
    assert_eq!(log.seen()[2..], [Seen::Cancelled("a"), Seen::Cancelled("b")]);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_limit_of_its_own() {
    let log = Log::default();
    let policy = hedged().per_try(millis(100));
    let service = layer(policy).layer(replicas(&[&[SLOW], &[(millis(90), 200)]], &log));

    let answer = ask(&service, get()).await;

    assert_eq!((answer.by.as_deref(), answer.after), (Some("b"), 140));
    assert_eq!(answer.trail, [("a".to_owned(), Reason::Timeout)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_all_attempts_along() {
    let log = Log::default();
    let service = layer(hedged()).layer(replicas(&[&[SLOW], &[SLOW]], &log));
    let waiting = tokio::spawn(async move { ask(&service, get()).await });
    sleep(millis(100)).await;

    waiting.abort();
    assert!(waiting.await.is_err());

    let cancelled = [Seen::Cancelled("a"), Seen::Cancelled("b")];
    assert_eq!(log.seen()[2..], cancelled);
}

fn fates() -> impl Strategy<Value = Vec<Vec<Fate>>> {
    let time = prop::sample::select(vec![0, 10, 50, 60, 100, 1_000]).prop_map(millis);
    let status = prop::sample::select(vec![200, 200, 404, 503, BROKEN]);
    prop::collection::vec(prop::collection::vec((time, status), 1..4), 1..5)
}

proptest! {
    #[test]
    fn whatever_happens_one_answer_is_given_and_no_replica_has_a_request_twice_at_once(
        fates in fates(),
        attempts in 1_u32..6,
        hedges in 1_u32..4,
        requests in 1_usize..5,
    ) {
        let count = |count| NonZeroU32::new(count).unwrap();
        let policy = FailoverPolicy::new()
            .hedge(Hedge::after(millis(50)).max(count(hedges)))
            .max_attempts(count(attempts))
            .lagging();
        let log = Log::default();
        let layer = layer(policy);
        let list = replicas(&fates.iter().map(Vec::as_slice).collect::<Vec<_>>(), &log);
        let service = layer.layer(list);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();

        runtime.unwrap().block_on(async {
            for turn in 0..requests {
                log.0.lock().unwrap().clear();
                let method = if turn % 2 == 0 { Method::PUT } else { Method::POST };
                let _ = service.clone().oneshot(request(method.clone())).await;

                let asked = log.asked().len();
                prop_assert!(asked <= usize::try_from(attempts).unwrap());
                prop_assert!(method == Method::PUT || asked <= 1);
                let mut under_way = Vec::new();
                for seen in log.seen() {
                    match seen {
                        Seen::Asked(name) => {
                            prop_assert!(!under_way.contains(&name), "{:?}", log.seen());
                            under_way.push(name);
                        }
                        Seen::Answered(name) | Seen::Cancelled(name) => {
                            under_way.retain(|other| *other != name);
                        }
                    }
                }
                prop_assert!(under_way.is_empty(), "{:?}", log.seen());
                let in_flight: usize =
                    layer.handle().snapshot().iter().map(ReplicaSnapshot::in_flight).sum();
                prop_assert_eq!(in_flight, 0);
            }
            Ok(())
        })?;
    }
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn what_comes_of_hedges_is_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let run = async |policy: FailoverPolicy, fates: [Fate; 2], enabled: bool| {
        let layer = layer(policy).named("photos");
        let [a, b] = &fates.map(|fate| [fate]);
        let service = layer.layer(replicas(&[a, b], &Log::default()));
        layer.handle().set_enabled("b", enabled);
        ask(&service, get()).await;
    };

    run(hedged(), [SLOW, FAST], true).await;
    run(hedged(), [(millis(55), 200), FAST], true).await;
    run(hedged(), [(millis(55), 503), FAST], true).await;
    run(hedged(), [(millis(200), 200), (millis(1), 503)], true).await;
    run(hedged().budget(RetryBudget::new(0, 0)), [SLOW, FAST], true).await;
    run(hedged(), [SLOW, FAST], false).await;
    run(FailoverPolicy::new(), [SLOW, FAST], true).await;

    let scrape = recorder.handle().render();
    for (outcome, count) in
        [("won", 2), ("cancelled", 1), ("failed", 1), ("no_budget", 1), ("no_replica", 1)]
    {
        let labels = format!("upstream=\"photos\",outcome=\"{outcome}\"");
        let line = format!("\nreplica_failover_hedges_total{{{labels}}} {count}\n");
        assert!(scrape.contains(&line), "{line} in\n{scrape}");
    }
}
