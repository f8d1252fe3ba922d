//! Replicas that come and go while requests are served.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis_replica_failover::{
    Attempts, FailoverHandle, FailoverPolicy, HealthCheck, Order, Probe, ReplayBody, Replica,
    ReplicaFailover, ReplicaFailoverLayer, ReplicaSnapshot, Replicas, SlowStart, Unserved,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Upload = Full<Bytes>;
type Service = BoxCloneSyncService<Request<ReplayBody<Upload>>, Response<Upload>, Infallible>;
type Over = ReplicaFailover<Service>;
type Served = <Over as tower::Service<Request<Upload>>>::Response;

const SECOND: Duration = Duration::from_secs(1);

fn says(words: &'static str) -> Service {
    let answer =
        move |_: Request<ReplayBody<Upload>>| async move { Ok(Response::new(Full::from(words))) };
    BoxCloneSyncService::new(service_fn(answer))
}

/// A replica that says its name.
fn replica(name: &'static str) -> Replica<Service> {
    Replica::new(name, says(name))
}

fn list(names: &[&'static str]) -> Vec<Replica<Service>> {
    names.iter().map(|name| replica(name)).collect()
}

/// A replica that answers with this status once it is let.
fn held(name: &'static str, status: StatusCode, gate: &Arc<Semaphore>) -> Replica<Service> {
    let gate = gate.clone();
    let answer = move |_: Request<ReplayBody<Upload>>| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            let mut response = Response::new(Full::from(name));
            *response.status_mut() = status;
            Ok(response)
        }
    };
    Replica::new(name, BoxCloneSyncService::new(service_fn(answer)))
}

async fn send(service: Over) -> Served {
    service.oneshot(Request::new(Full::default())).await.unwrap()
}

async fn said(service: &Over) -> String {
    let body = send(service.clone()).await.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().into()).unwrap()
}

fn names(handle: &FailoverHandle) -> Vec<String> {
    handle.snapshot().iter().map(|replica| replica.name().to_owned()).collect()
}

fn in_flight(handle: &FailoverHandle) -> usize {
    handle.snapshot().iter().map(ReplicaSnapshot::in_flight).sum()
}

#[tokio::test]
async fn requests_go_by_the_list_as_it_is_whichever_clone_they_come_by() {
    let service = ReplicaFailoverLayer::default().layer(list(&["a", "b"]));
    let clone = service.clone();
    assert_eq!(said(&clone).await, "a");

    service.replicas().replace(list(&["c", "b"]));

    assert_eq!(said(&clone).await, "c");
    assert_eq!(said(&service).await, "c");
}

#[tokio::test]
async fn an_empty_list_is_an_answer_until_it_is_filled() {
    let service = ReplicaFailoverLayer::new(FailoverPolicy::new().order(Order::RoundRobin))
        .layer(list(&["a"]));

    service.replicas().replace(Vec::new());
    let response = send(service.clone()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.extensions().get(), Some(&Unserved::NoneAvailable));

    service.replicas().replace(list(&["b"]));
    assert_eq!(said(&service).await, "b");
}

#[tokio::test]
async fn what_is_known_of_a_replica_stays_by_its_name() {
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().order(Order::RoundRobin));
    let service = layer.layer(list(&["a", "b", "c"]));
    layer.handle().set_enabled("b", false);
    assert_eq!([said(&service).await, said(&service).await], ["a", "c"]);

    let other = Replica::new("c", says("c at another address"));
    service.replicas().replace(vec![replica("d"), replica("b"), other]);

    assert_eq!(names(&layer.handle()), ["b", "c", "d"]);
    let said = [said(&service).await, said(&service).await, said(&service).await];
    assert_eq!(said, ["d", "c at another address", "d"], "b is still out, and it is d's turn");
}

#[tokio::test]
async fn one_description_makes_replicas_for_several_lists() {
    let described = Replica::new("a", ()).priority(2).admits(|| false);
    let layer = ReplicaFailoverLayer::default();
    for _ in 0..2 {
        let service = layer.layer(vec![described.clone().served_by(says("a")), replica("b")]);
        assert_eq!(said(&service).await, "b");
    }

    assert_eq!(
        layer.handle().snapshot().iter().map(ReplicaSnapshot::priority).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[tokio::test]
async fn a_replica_that_is_removed_finishes_what_it_has_in_hand() {
    let gate = Arc::new(Semaphore::new(0));
    let layer = ReplicaFailoverLayer::default().tell_always();
    let service = layer.layer(vec![held("a", StatusCode::OK, &gate)]);
    let mut response = spawn(send(service.clone()));
    assert_pending!(response.poll());

    service.replicas().replace(list(&["b"]));
    assert_eq!(said(&service).await, "b");
    gate.add_permits(1);

    let response = assert_ready!(response.poll());
    let attempts = response.extensions().get::<Attempts>().unwrap();
    assert_eq!((attempts.served_by(), attempts.count()), (Some("a"), 1));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a");
}

#[tokio::test]
async fn what_fails_elsewhere_goes_on_among_those_that_stayed() {
    let gate = Arc::new(Semaphore::new(0));
    let failing = || held("a", StatusCode::SERVICE_UNAVAILABLE, &gate);
    for (new, served_by) in [(["c", "d"], Some("c")), (["b", "c"], Some("b")), (["d", "e"], None)] {
        let service = ReplicaFailoverLayer::new(FailoverPolicy::new()).tell_always().layer(vec![
            failing(),
            replica("b"),
            replica("c"),
        ]);
        let mut response = spawn(send(service.clone()));
        assert_pending!(response.poll());

        service.replicas().replace(list(&new));
        gate.add_permits(1);

        let response = assert_ready!(response.poll());
        let attempts = response.extensions().get::<Attempts>().unwrap();
        assert_eq!(attempts.served_by(), served_by.or(Some("a")), "{new:?}");
        let failed = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(failed, served_by.is_none(), "{new:?}");
    }
}

#[tokio::test]
async fn a_replica_is_forgotten_when_no_service_has_it() {
    let layer = ReplicaFailoverLayer::default();
    let (one, other) = (layer.layer(list(&["a", "b"])), layer.layer(list(&["a", "b"])));
    layer.handle().set_enabled("a", false);

    one.replicas().replace(list(&["b"]));
    assert_eq!(names(&layer.handle()), ["a", "b"]);
    assert_eq!(said(&other).await, "b", "it is known of a that it is out");
    other.replicas().replace(list(&["b"]));
    assert_eq!(names(&layer.handle()), ["b"]);

    one.replicas().replace(list(&["a"]));
    assert_eq!(said(&one).await, "a", "a new one of an old name");
}

#[tokio::test]
async fn services_that_are_gone_do_not_keep_what_is_replaced_and_take_nothing_with_them() {
    let layer = ReplicaFailoverLayer::default();
    let (one, other) = (layer.layer(list(&["a", "b"])), layer.layer(list(&["a", "b"])));
    drop(other);
    assert_eq!(names(&layer.handle()), ["a", "b"]);

    one.replicas().replace(list(&["b"]));
    assert_eq!(names(&layer.handle()), ["b"]);
    drop(one);
    assert_eq!(names(&layer.handle()), ["b"]);
}

#[tokio::test]
async fn a_replica_that_stays_has_its_requests_in_hand_counted_on() {
    let gate = Arc::new(Semaphore::new(0));
    let layer = ReplicaFailoverLayer::default().tell_always();
    let service = layer.layer(vec![held("a", StatusCode::OK, &gate)]);
    let mut response = spawn(send(service.clone()));
    assert_pending!(response.poll());

    service.replicas().replace(list(&["a", "b"]));
    assert_eq!(in_flight(&layer.handle()), 1);
    gate.add_permits(1);
    drop(assert_ready!(response.poll()));
    assert_eq!(in_flight(&layer.handle()), 0);
}

/// Checks come within the first 20 ms of each second.
fn check() -> HealthCheck {
    HealthCheck::new(Probe::Tcp)
        .timing(SECOND, Duration::from_millis(10), SECOND / 2)
        .unwrap()
        .jitter(0)
}

#[tokio::test(start_paused = true)]
async fn checks_follow_the_list() {
    let dialed: [Arc<AtomicUsize>; 3] = Default::default();
    let names = ["a", "b", "c"];
    let list = |range: std::ops::Range<usize>| -> Vec<_> {
        let each = names.into_iter().zip(dialed.clone()).skip(range.start).take(range.len());
        let dialed = |(name, count): (&'static str, Arc<AtomicUsize>)| {
            replica(name).dialed_by(move || {
                count.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, Infallible>(()) }
            })
        };
        each.map(dialed).collect()
    };
    let counts = || dialed.each_ref().map(|count| count.load(Ordering::Relaxed));
    let layer = ReplicaFailoverLayer::default().health_check(check());
    let service = layer.layer(list(0..2));
    drop(tokio::spawn(layer.health_checker()));
    sleep(SECOND).await;
    let before = counts();
    assert!(before[0] > 0 && before[1] > 0 && before[2] == 0, "{before:?}");

    service.replicas().replace(list(1..3));
    sleep(SECOND).await;

    let after = counts();
    assert!(after[0] == before[0] && after[1] > before[1] && after[2] > 0, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_comes_later_comes_little_by_little() {
    let slow = check().slow_start(SlowStart::new(100 * SECOND, 10));
    let layer = ReplicaFailoverLayer::new(FailoverPolicy::new().order(Order::RoundRobin))
        .health_check(slow);
    let service = layer.layer(list(&["a"]));
    service.replicas().replace(list(&["a", "b"]));
    let mut shares = Vec::new();
    for _ in 0..2 {
        let mut count = 0;
        for _ in 0..1_000 {
            count += u32::from(said(&service).await == "b");
        }
        shares.push(count);
        sleep(100 * SECOND).await;
    }

    assert!((10..150).contains(&shares[0]) && shares[1] == 500, "{shares:?}");
}

#[test]
fn the_list_of_a_service_crosses_threads() {
    fn crosses<T: Send + Sync + Unpin>() {}
    crosses::<Replicas<Service>>();
}
