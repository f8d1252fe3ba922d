//! What a request's deadline is, and what replicas are told of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Empty;
use portcullis_replica_failover::{
    Attempts, FailoverPolicy, Hedge, ReplayBody, Replica, ReplicaFailover, ReplicaFailoverLayer,
    Unserved,
};
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Sent = Request<ReplayBody<Empty<Bytes>>>;
type Answer = Response<Empty<Bytes>>;
type Inner = BoxCloneSyncService<Sent, Answer, Infallible>;

const ENVOY: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");

/// The headers of each attempt, and who had it.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// A replica that answers with a status after a time.
fn replica(name: &'static str, time: u64, status: u16, seen: &Seen) -> Replica<Inner> {
    let seen = seen.clone();
    let service = service_fn(move |request: Sent| {
        seen.lock().unwrap().push(request.headers().clone());
        async move {
            sleep(Duration::from_millis(time)).await;
            let mut response = Answer::default();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        }
    });
    Replica::new(name, BoxCloneSyncService::new(service))
}

fn over(policy: FailoverPolicy, replicas: &[(u64, u16)]) -> (ReplicaFailover<Inner>, Seen) {
    let seen = Seen::default();
    let list = ["a", "b", "c"].into_iter().zip(replicas);
    let list = list.map(|(name, (time, status))| replica(name, *time, *status, &seen)).collect();
    (ReplicaFailoverLayer::new(policy).layer(list), seen)
}

fn get() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
}

fn grpc(timeout: &str) -> Request<Empty<Bytes>> {
    let request = Request::put("/").header(CONTENT_TYPE, "application/grpc+proto");
    request.header(GRPC, timeout).body(Empty::new()).unwrap()
}

/// What each attempt was told in a header.
fn told(seen: &Seen, name: &HeaderName) -> Vec<Option<String>> {
    let seen = seen.lock().unwrap();
    let values = seen.iter().map(|headers| {
        assert!(headers.get_all(name).iter().count() <= 1);
        Some(headers.get(name)?.to_str().unwrap().to_owned())
    });
    values.collect()
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<Option<String>> {
    texts.map(|text| Some(text.to_owned())).into()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn each_replica_is_told_what_is_left_of_what_a_grpc_client_said() {
    let (service, seen) = over(FailoverPolicy::new(), &[(100, 503), (300, 503), (0, 200)]);

    assert_eq!(service.oneshot(grpc("2S")).await.unwrap().status(), 200);

    assert_eq!(told(&seen, &GRPC), texts(["2S", "1900m", "1600m"]));
}

#[tokio::test(start_paused = true)]
async fn an_only_replica_is_told_too() {
    let (service, seen) = over(FailoverPolicy::new(), &[(0, 200)]);

    service.oneshot(grpc("1H")).await.unwrap();

    assert_eq!(told(&seen, &GRPC), texts(["3600S"]));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_told_what_is_left_when_it_is_sent() {
    let policy = FailoverPolicy::new().hedge(Hedge::after(millis(50)));
    let (service, seen) = over(policy, &[(500, 200), (0, 200)]);

    service.oneshot(grpc("1S")).await.unwrap();

    assert_eq!(told(&seen, &GRPC), texts(["1S", "950m"]));
}

#[tokio::test(start_paused = true)]
async fn a_grpc_client_is_answered_when_its_time_is_over() {
    for replicas in [&[(5_000, 200)][..], &[(60, 503), (5_000, 200)]] {
        let (service, _) = over(FailoverPolicy::new(), replicas);
        let began = Instant::now();

        let response = service.oneshot(grpc("200m")).await.unwrap();

        assert_eq!(began.elapsed(), millis(200));
        assert_eq!(response.headers()["grpc-status"], "4");
        assert_eq!(response.extensions().get::<Unserved>(), Some(&Unserved::OutOfTime));
    }
}

#[tokio::test(start_paused = true)]
async fn no_replica_is_asked_once_the_time_is_over() {
    let (service, seen) = over(FailoverPolicy::new(), &[(0, 200), (0, 200)]);

    let response = service.oneshot(grpc("0n")).await.unwrap();

    assert_eq!(response.headers()["grpc-status"], "4");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_deadlines_the_sooner_one_holds() {
    for (within, timeout, end) in [(300, "200m", 200), (300, "5S", 300)] {
        let policy = FailoverPolicy::new().within(millis(within));
        let (service, _) = over(policy, &[(5_000, 200), (5_000, 200)]);
        let began = Instant::now();

        let response = service.oneshot(grpc(timeout)).await.unwrap();

        assert_eq!(
            (began.elapsed(), &response.headers()["grpc-status"]),
            (millis(end), &"4".parse().unwrap())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_to_the_headers_is_not_told_to_grpc_as_one_to_the_last_message() {
    let policy = FailoverPolicy::new().within(millis(300));
    let (service, seen) = over(policy, &[(0, 200), (0, 200)]);
    let mut untimed = grpc("1S");
    untimed.headers_mut().remove(GRPC);

    service.clone().oneshot(untimed).await.unwrap();
    service.oneshot(grpc("1S")).await.unwrap();

    assert_eq!(told(&seen, &GRPC), [None, Some("1S".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_says_nothing_or_is_not_grpcs_is_no_deadline() {
    let (service, seen) = over(FailoverPolicy::new(), &[(500, 200), (0, 200)]);
    let mut http = get();
    http.headers_mut().insert(GRPC, "100m".parse().unwrap());

    for request in [grpc("100"), grpc("123456789n"), http] {
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("grpc-status"));
    }

    assert_eq!(told(&seen, &GRPC), texts(["100", "123456789n", "100m"]));
}

#[tokio::test(start_paused = true)]
async fn a_named_header_tells_how_long_an_attempt_has() {
    let policy = FailoverPolicy::new().limit_header(ENVOY).per_try(millis(400));
    let policy = policy.within(millis(500));
    let (service, seen) = over(policy, &[(150, 503), (5_000, 200), (0, 200)]);
    let mut request = get();
    request.headers_mut().insert(ENVOY, "999999".parse().unwrap());

    let response = service.oneshot(request).await.unwrap();

    assert_eq!(response.status(), 504);
    assert_eq!(told(&seen, &ENVOY), texts(["400", "350"]));
    assert_eq!(response.extensions().get::<Attempts>().unwrap().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_says_in_the_named_header_is_not_passed_on_where_there_is_no_limit() {
    let policy = FailoverPolicy::new().limit_header(ENVOY).per_try(Duration::MAX);
    for replicas in [&[(0, 200)][..], &[(0, 200), (0, 200)]] {
        let (service, seen) = over(policy.clone(), replicas);
        let mut request = get();
        request.headers_mut().insert(ENVOY, "7".parse().unwrap());

        service.oneshot(request).await.unwrap();

        assert_eq!(told(&seen, &ENVOY), [None]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_named_header_may_be_that_of_grpc() {
    let policy = FailoverPolicy::new().limit_header(GRPC).within(millis(300));
    let (service, seen) = over(policy, &[(0, 200), (0, 200)]);
    let mut untimed = grpc("1S");
    untimed.headers_mut().remove(GRPC);
    let mut http = get();
    http.headers_mut().insert(GRPC, "7S".parse().unwrap());

    for request in [untimed, grpc("1S"), grpc("100m"), http] {
        service.clone().oneshot(request).await.unwrap();
    }

    assert_eq!(told(&seen, &GRPC), texts(["300m", "300m", "100m", "7S"]));
}
