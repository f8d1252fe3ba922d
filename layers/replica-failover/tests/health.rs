//! What checks see of replicas, and clients of checks.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use portcullis_replica_failover::{
    Attempts, CheckFailure, FailoverHandle, FailoverPolicy, GrpcProbe, Health, HealthCheck,
    HealthChecker, HttpProbe, InitialHealth, InvalidTiming, Order, Probe, ReplayBody, Replica,
    ReplicaFailover, ReplicaFailoverLayer, ReplicaSnapshot, SlowStart, Unserved,
};
use tokio::time::{Instant, sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Upload = Full<Bytes>;
type Service = BoxCloneSyncService<Request<ReplayBody<Upload>>, Response<Upload>, Infallible>;

const SECOND: Duration = Duration::from_secs(1);

fn service() -> Service {
    let answer = |_: Request<ReplayBody<Upload>>| async { Ok(Response::new(Full::default())) };
    BoxCloneSyncService::new(service_fn(answer))
}

/// Replicas that are up or down by a switch each, and count how often they are dialed.
struct Scene {
    up: Vec<Arc<AtomicBool>>,
    dialed: Arc<AtomicUsize>,
}

impl Scene {
    fn new(up: &[bool]) -> Self {
        let switch = |up: &bool| Arc::new(AtomicBool::new(*up));
        Self { up: up.iter().map(switch).collect(), dialed: Arc::default() }
    }

    fn list(&self) -> Vec<Replica<Service>> {
        let replica = |(name, up): (&str, &Arc<AtomicBool>)| {
            let (up, dialed) = (up.clone(), self.dialed.clone());
            Replica::new(name, service()).dialed_by(move || {
                dialed.fetch_add(1, Ordering::Relaxed);
                let up = up.load(Ordering::Relaxed);
                async move { if up { Ok(()) } else { Err(io::Error::other("no route")) } }
            })
        };
        ["a", "b", "c", "d"].into_iter().zip(&self.up).map(replica).collect()
    }

    fn set(&self, index: usize, up: bool) {
        self.up[index].store(up, Ordering::Relaxed);
    }
}

/// One answer is enough. Checks come within the first 20 ms of each second, twice if the health is another.
fn check(probe: Probe) -> HealthCheck {
    HealthCheck::new(probe)
        .timing(SECOND, Duration::from_millis(10), SECOND / 2)
        .unwrap()
        .jitter(0)
        .rise(NonZeroU32::MIN)
        .fall(NonZeroU32::MIN)
}

fn layer(check: HealthCheck) -> ReplicaFailoverLayer {
    ReplicaFailoverLayer::new(FailoverPolicy::new()).tell_always().health_check(check)
}

type Over = ReplicaFailover<Service>;

/// A service over them whose replicas are checked.
fn checked(layer: &ReplicaFailoverLayer, list: Vec<Replica<Service>>) -> Over {
    let service = layer.layer(list);
    drop(tokio::spawn(layer.health_checker()));
    service
}

async fn ask(service: &Over) -> Response<()> {
    let response = service.clone().oneshot(Request::new(Full::default())).await;
    response.unwrap().map(drop)
}

/// Who answers, if a replica does.
async fn asked(service: &Over) -> Option<String> {
    let response = ask(service).await;
    let attempts = response.extensions().get::<Attempts>().unwrap();
    assert_eq!(attempts.trail(), [], "what is skipped is no attempt");
    attempts.served_by().map(str::to_owned)
}

fn healths(handle: &FailoverHandle) -> Vec<Health> {
    handle.snapshot().iter().map(ReplicaSnapshot::health).collect()
}

/// The replica's health after a check of it by a client.
async fn by_client<F>(probe: Probe, answer: F) -> (Health, Option<CheckFailure>)
where
    F: Fn(Request<Upload>) -> Response<Frames> + Clone + Send + 'static,
{
    let client = service_fn(move |request| {
        let response = answer(request);
        async { Ok::<_, Infallible>(response) }
    });
    let layer = layer(check(probe));
    let _service = checked(&layer, vec![Replica::new("a", service()).probed_by(client)]);
    sleep(SECOND).await;
    let snapshot = layer.handle().snapshot();
    (snapshot[0].health(), snapshot[0].check_failure().cloned())
}

type Frames = UnsyncBoxBody<Bytes, Infallible>;

/// A response of gRPC with this message and status.
fn grpc(message: &'static [u8], status: Option<&'static str>) -> Response<Frames> {
    let trailers = status.map(|status| {
        let status = HeaderValue::from_static(status);
        Ok(HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), status)]))
    });
    let body = Full::from(message).with_trailers(async { trailers });
    Response::new(body.boxed_unsync())
}

fn trailers_only(status: &'static str) -> Response<Frames> {
    let mut response = grpc(&[], None);
    response.headers_mut().insert("grpc-status", HeaderValue::from_static(status));
    response
}

fn status(status: StatusCode) -> Response<Frames> {
    let mut response = grpc(&[], None);
    *response.status_mut() = status;
    response
}

fn path(path: &'static str) -> HttpProbe {
    HttpProbe::new(PathAndQuery::from_static(path))
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_a_get_of_its_path_with_its_host() {
    let seen = Arc::new(Mutex::new(None));
    let log = seen.clone();
    let probe = path("/healthz?deep").host(HeaderValue::from_static("photos.internal"));

    let answer = move |request: Request<Upload>| {
        *log.lock().unwrap() = Some(request.map(drop));
        status(StatusCode::NO_CONTENT)
    };
    assert_eq!(by_client(Probe::Http(probe), answer).await, (Health::Healthy, None));

    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen.method(), Method::GET);
    assert_eq!(*seen.uri(), "/healthz?deep");
    assert_eq!(seen.headers()["host"], "photos.internal");
    assert_eq!(seen.headers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_status_decides_by_what_is_expected() {
    let expecting = || path("/").statuses([StatusCode::OK, StatusCode::UNAUTHORIZED]);
    for (probe, code, is_healthy) in [
        (path("/"), StatusCode::OK, true),
        (path("/"), StatusCode::FOUND, false),
        (path("/"), StatusCode::SERVICE_UNAVAILABLE, false),
        (expecting(), StatusCode::UNAUTHORIZED, true),
        (expecting(), StatusCode::NO_CONTENT, false),
    ] {
        let found = by_client(Probe::Http(probe), move |_| status(code)).await;

        let sick = (Health::Unhealthy, Some(CheckFailure::Status(code)));
        assert_eq!(found, if is_healthy { (Health::Healthy, None) } else { sick }, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_probe_is_a_call_of_the_health_protocol() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();

    let answer = move |request: Request<Upload>| {
        log.lock().unwrap().push(request);
        grpc(b"\0\0\0\0\x02\x08\x01", Some("0"))
    };
    let probe = Probe::Grpc(GrpcProbe::new().service("a.B"));
    assert_eq!(by_client(probe, answer).await, (Health::Healthy, None));

    let request = seen.lock().unwrap().remove(0);
    assert_eq!((request.method(), request.version()), (&Method::POST, Version::HTTP_2));
    assert_eq!(*request.uri(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["grpc-timeout"], "500m");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(*body, *b"\0\0\0\0\x05\x0a\x03a.B");
}

#[tokio::test(start_paused = true)]
async fn only_serving_is_healthy_and_who_does_not_know_the_protocol_as_configured() {
    const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";
    // Says the same, and has a field of more bytes than are read.
    let long = [b"\0\0\0\x07\xd5\x08\x01\x12\xd0\x0f", &[0; 2_000][..]].concat();
    let long: &[u8] = long.leak();
    let tolerant = GrpcProbe::new;
    let strict = || GrpcProbe::new().unimplemented_is_down();
    for (probe, answer, failure) in [
        (tolerant(), (SERVING, Some("0")), None),
        (tolerant(), (b"\0\0\0\0\x02\x08\x02", Some("0")), Some(CheckFailure::NotServing)),
        (tolerant(), (b"\0\0\0\0\x00", Some("0")), Some(CheckFailure::NotServing)),
        (tolerant(), (b"", Some("0")), Some(CheckFailure::Malformed)),
        (tolerant(), (SERVING, None), Some(CheckFailure::Malformed)),
        (tolerant(), (SERVING, Some("14")), Some(CheckFailure::GrpcStatus(14))),
        (tolerant(), (long, Some("0")), Some(CheckFailure::Malformed)),
        (tolerant(), (b"", Some("5")), Some(CheckFailure::GrpcStatus(5))),
        (tolerant(), (b"", Some("x")), Some(CheckFailure::GrpcStatus(2))),
        (tolerant(), (b"", Some("12")), None),
        (strict(), (b"", Some("12")), Some(CheckFailure::GrpcStatus(12))),
    ] {
        let (health, found) =
            by_client(Probe::Grpc(probe), move |_| grpc(answer.0, answer.1)).await;

        let expected = if failure.is_none() { Health::Healthy } else { Health::Unhealthy };
        assert_eq!((health, found), (expected, failure), "{answer:?}");
    }
    let none = (Health::Healthy, None);
    assert_eq!(by_client(Probe::Grpc(tolerant()), |_| trailers_only("12")).await, none);
    let (_, failure) = by_client(Probe::Grpc(strict()), |_| trailers_only("12")).await;
    assert_eq!(failure, Some(CheckFailure::GrpcStatus(12)));
    let (_, failure) =
        by_client(Probe::Grpc(tolerant()), |_| status(StatusCode::BAD_GATEWAY)).await;
    assert_eq!(failure, Some(CheckFailure::Status(StatusCode::BAD_GATEWAY)));
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_replica_is_skipped_until_it_recovers() {
    let scene = Scene::new(&[false, true]);
    let layer = layer(check(Probe::Tcp));
    let service = checked(&layer, scene.list());
    assert_eq!(asked(&service).await.as_deref(), Some("a"), "it has not been checked");

    sleep(SECOND).await;
    assert_eq!(asked(&service).await.as_deref(), Some("b"));
    let snapshot = layer.handle().snapshot();
    assert_eq!(snapshot[0].check_failure(), Some(&CheckFailure::Failed("no route".into())));
    assert!(snapshot[0].health_since().unwrap() <= SECOND);

    scene.set(0, true);
    sleep(SECOND).await;
    assert_eq!(healths(&layer.handle()), [Health::Healthy; 2]);
    assert_eq!(asked(&service).await.as_deref(), Some("a"));
    assert!(layer.handle().snapshot()[0].check_failure().is_some(), "the last one is kept");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_unhealthy_the_answer_is_503_without_an_attempt() {
    let scene = Scene::new(&[false, false]);
    let service = checked(&layer(check(Probe::Tcp)), scene.list());
    sleep(SECOND).await;

    let response = ask(&service).await;

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.extensions().get(), Some(&Unserved::NoneAvailable));
    assert_eq!(response.extensions().get::<Attempts>().unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_too_few_are_healthy_health_is_ignored() {
    let (mut served, mut ignored) = (Vec::new(), Vec::new());
    for up in [[false, false, true, true], [false, false, false, true], [false; 4]] {
        let scene = Scene::new(&up);
        let layer = layer(check(Probe::Tcp).panic_below(50));
        let service = checked(&layer, scene.list());
        sleep(SECOND).await;
        served.push(asked(&service).await.unwrap());
        ignored.push(layer.handle().ignores_health());
    }

    assert_eq!(served, ["c", "a", "a"]);
    assert_eq!(ignored, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_all_tiers_and_only_who_is_enabled() {
    let scene = Scene::new(&[false, true, false, true]);
    let layer = layer(check(Probe::Tcp).panic_below(50));
    let tier = |(index, replica): (usize, Replica<Service>)| replica.priority(u8::from(index > 0));
    let service = checked(&layer, scene.list().into_iter().enumerate().map(tier).collect());
    sleep(SECOND).await;
    assert_eq!(asked(&service).await.as_deref(), Some("b"), "half of all are healthy");

    layer.handle().set_enabled("d", false);
    assert_eq!(asked(&service).await.as_deref(), Some("a"), "one of three is healthy");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_checked_yet_is_what_the_policy_takes_it_for() {
    for (initial, served) in [
        (InitialHealth::Healthy, Some("a")),
        (InitialHealth::Unhealthy, None),
        (InitialHealth::FirstCheck, None),
    ] {
        let scene = Scene::new(&[true]);
        let check = check(Probe::Tcp).initial(initial).rise(NonZeroU32::new(2).unwrap());
        let layer = layer(check);
        let service = checked(&layer, scene.list());

        assert_eq!(asked(&service).await.as_deref(), served, "{initial:?}");
        assert_eq!(healths(&layer.handle()), [Health::Unchecked]);
        assert_eq!(layer.handle().snapshot()[0].is_skipped(), served.is_none(), "{initial:?}");
        while scene.dialed.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let at_once = initial != InitialHealth::Unhealthy;
        assert_eq!(asked(&service).await.is_some(), at_once, "{initial:?}");
        sleep(SECOND).await;
        assert_eq!(asked(&service).await.as_deref(), Some("a"), "{initial:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_as_the_probe_wants_it_has_requests() {
    let scene = Scene::new(&[false]);
    let layer = layer(check(Probe::Http(path("/"))).initial(InitialHealth::Unhealthy));
    let service = checked(&layer, scene.list());
    sleep(10 * SECOND).await;

    assert_eq!(asked(&service).await.as_deref(), Some("a"));
    assert_eq!(healths(&layer.handle()), [Health::Unchecked]);
    assert_eq!(scene.dialed.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_replica_is_asked_once_at_a_time_and_fails_by_the_limit() {
    let open = Arc::new(AtomicUsize::new(0));
    let (dialed, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, at_once, count) = (open.clone(), most.clone(), dialed.clone());
    let replica = Replica::new("a", service()).dialed_by(move || {
        count.fetch_add(1, Ordering::Relaxed);
        at_once.fetch_max(counted.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let closed = Closes(counted.clone());
        async move {
            let _closed = closed;
            pending::<Result<(), Infallible>>().await
        }
    });
    let policy = HealthCheck::new(Probe::Tcp).jitter(0).timing(
        10 * SECOND,
        Duration::from_millis(10),
        5 * SECOND,
    );
    let layer = layer(policy.unwrap());
    let _service = checked(&layer, vec![replica]);
    sleep(SECOND + 20 * 5 * SECOND).await;

    assert_eq!(most.load(Ordering::Relaxed), 1);
    let asked = dialed.load(Ordering::Relaxed);
    assert!((12..=21).contains(&asked), "{asked}");
    let snapshot = layer.handle().snapshot();
    assert_eq!(snapshot[0].check_failure(), Some(&CheckFailure::TimedOut));
    assert_eq!(snapshot[0].health(), Health::Unhealthy);
}

struct Closes(Arc<AtomicUsize>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn first_checks_are_spread_over_the_fast_interval() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let replica = |index: u32| {
        let times = times.clone();
        Replica::new(index.to_string(), service()).dialed_by(move || {
            times.lock().unwrap().push(began.elapsed());
            async { Ok::<_, Infallible>(()) }
        })
    };
    let layer = layer(check(Probe::Tcp).timing(1_000 * SECOND, 100 * SECOND, SECOND).unwrap());
    let _service = checked(&layer, (0..50).map(replica).collect());
    sleep(101 * SECOND).await;

    let times = times.lock().unwrap();
    assert!(times[..50].iter().all(|time| *time <= 100 * SECOND));
    for quarter in 0..4 {
        let within = |time: &&Duration| time.as_secs() / 25 == quarter;
        let count = times[..50].iter().filter(within).count();
        assert!(count > 0, "none of 50 in quarter {quarter}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_recovered_comes_back_little_by_little_in_every_order() {
    for order in [Order::Priority, Order::RoundRobin, Order::Weighted, Order::LeastRequest] {
        let scene = Scene::new(&[true, true]);
        let check = check(Probe::Tcp).slow_start(SlowStart::new(100 * SECOND, 10));
        let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().order(order))
            .tell_always()
            .health_check(check);
        let service = checked(&layer, scene.list());
        sleep(SECOND).await;
        let before = share_of_a(&service).await;
        scene.set(0, false);
        sleep(SECOND).await;
        assert_eq!(share_of_a(&service).await, 0, "{order:?}");

        scene.set(0, true);
        sleep(SECOND).await;
        let early = share_of_a(&service).await;
        sleep(50 * SECOND).await;
        let halfway = share_of_a(&service).await;
        sleep(50 * SECOND).await;
        let after = share_of_a(&service).await;

        assert!(early > 0 && early * 5 < before, "{order:?}: {early} of {before}");
        assert!(
            halfway * 4 < before * 3 && halfway > before / 3,
            "{order:?}: {halfway} of {before}"
        );
        assert!(after.abs_diff(before) * 5 < before, "{order:?}: {after} of {before}");
    }
}

/// Of 1,000.
async fn share_of_a(service: &Over) -> usize {
    let mut count = 0;
    for _ in 0..1_000 {
        count += usize::from(asked(service).await.as_deref() == Some("a"));
    }
    count
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_slowly_has_all_if_there_is_nobody_else() {
    let scene = Scene::new(&[false, false]);
    let check = check(Probe::Tcp).slow_start(SlowStart::new(100 * SECOND, 0));
    let service = checked(&layer(check), scene.list());
    sleep(SECOND).await;
    scene.set(0, true);
    sleep(SECOND).await;

    assert_eq!(share_of_a(&service).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn the_first_good_check_of_all_is_no_recovery() {
    let scene = Scene::new(&[true, true]);
    let check = check(Probe::Tcp)
        .initial(InitialHealth::FirstCheck)
        .slow_start(SlowStart::new(100 * SECOND, 0));
    let service = checked(&layer(check), scene.list());
    sleep(SECOND).await;

    assert_eq!(share_of_a(&service).await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn checks_end_with_the_last_of_the_layer() {
    let scene = Scene::new(&[true]);
    let layer = layer(check(Probe::Tcp));
    let service = layer.layer(scene.list());
    let checker = tokio::spawn(layer.health_checker());
    let handle = layer.handle();
    drop((layer, service));
    sleep(3 * SECOND).await;
    assert!(scene.dialed.load(Ordering::Relaxed) >= 3);
    assert!(!checker.is_finished());

    drop(handle);
    timeout(SECOND, checker).await.unwrap().unwrap();
    let before = scene.dialed.load(Ordering::Relaxed);
    sleep(3 * SECOND).await;
    assert_eq!(scene.dialed.load(Ordering::Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_there_is_nothing_to_check() {
    let scene = Scene::new(&[false]);
    let layer = ReplicaFailoverLayer::default().tell_always();
    let service = layer.layer(scene.list());

    layer.health_checker().await;
    assert_eq!(asked(&service).await.as_deref(), Some("a"));
    assert_eq!(scene.dialed.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn replicas_that_come_later_are_checked_and_a_list_without_connectors_keeps_those_known() {
    let scene = Scene::new(&[true, false]);
    let layer = layer(check(Probe::Tcp));
    drop(tokio::spawn(layer.health_checker()));
    sleep(SECOND).await;
    let _service = layer.layer(scene.list());
    let bare = ["a", "b"].map(|name| Replica::new(name, service()));
    let other = layer.layer(bare.into());
    sleep(SECOND).await;

    assert_eq!(healths(&layer.handle()), [Health::Healthy, Health::Unhealthy]);
    scene.set(0, false);
    scene.set(1, true);
    sleep(SECOND).await;
    assert_eq!(asked(&other).await.as_deref(), Some("b"));
}

#[test]
fn a_timing_that_makes_no_sense_is_refused() {
    let timing = |interval: u64, fast: u64, limit: u64| {
        let [interval, fast, limit] = [interval, fast, limit].map(Duration::from_millis);
        HealthCheck::default().timing(interval, fast, limit)
    };

    assert!(timing(1_000, 1_000, 999).is_ok());
    assert!(timing(1_000, 10, 1).is_ok());
    assert_eq!(timing(1_000, 100, 1_000), Err(InvalidTiming::TimeLimit));
    assert_eq!(timing(1_000, 100, 0), Err(InvalidTiming::TimeLimit));
    assert_eq!(timing(1_000, 1_001, 100), Err(InvalidTiming::FastInterval));
    assert_eq!(timing(1_000, 9, 100), Err(InvalidTiming::FastInterval));
}

#[test]
fn public_types_cross_threads() {
    fn crosses<T: Send + Sync + Unpin>() {}
    crosses::<HealthChecker>();
    crosses::<HealthCheck>();
    crosses::<CheckFailure>();
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn checks_and_what_they_found_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let scene = Scene::new(&[true, false]);
    let layer = layer(check(Probe::Tcp)).named("photos");
    let _service = checked(&layer, scene.list());
    sleep(2 * SECOND).await;
    scene.set(0, false);
    sleep(SECOND).await;

    let scrape = recorder.handle().render();
    for line in [
        "health_check_total{upstream=\"photos\",replica=\"a\",outcome=\"ok\"} 3",
        "health_check_total{upstream=\"photos\",replica=\"a\",outcome=\"error\"} 2",
        "health_check_total{upstream=\"photos\",replica=\"b\",outcome=\"error\"} 4",
        "health_check_total{upstream=\"photos\",replica=\"b\",outcome=\"timeout\"} 0",
        "health_state{upstream=\"photos\",replica=\"a\"} 0",
    ] {
        assert!(scrape.contains(&format!("\n{line}\n")), "{line} in\n{scrape}");
    }
    scene.set(1, true);
    sleep(SECOND).await;
    let line = "\nhealth_state{upstream=\"photos\",replica=\"b\"} 1\n";
    assert!(recorder.handle().render().contains(line));
}
