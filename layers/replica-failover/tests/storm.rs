//! A minute in which all replicas fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use portcullis_replica_failover::{
    FailoverPolicy, Order, ReplayBody, Replica, ReplicaFailoverLayer,
};
use tokio::task::JoinSet;
use tokio::time::interval;
use tower::{Layer, ServiceExt, service_fn};

type Upload = Full<Bytes>;

/// How many requests the replicas had to bear in each second, when clients send so many.
async fn borne(policy: FailoverPolicy, per_second: u32, seconds: u32) -> Vec<u32> {
    let count = Arc::new(AtomicU32::new(0));
    let replica = |name| {
        let count = count.clone();
        let failing = move |_: Request<ReplayBody<Upload>>| {
            count.fetch_add(1, Ordering::Relaxed);
            async {
                let mut response = Response::new(Upload::default());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok::<_, Infallible>(response)
            }
        };
        Replica::new(name, service_fn(failing))
    };
    let service = ReplicaFailoverLayer::new(policy).layer(["a", "b", "c"].map(replica).into());
    let mut every = interval(Duration::from_secs(1) / per_second);
    let mut open = JoinSet::new();
    let mut course = Vec::new();
    for _ in 0..seconds {
        for _ in 0..per_second {
            every.tick().await;
            open.spawn(service.clone().oneshot(Request::new(Upload::default())));
        }
        course.push(count.swap(0, Ordering::Relaxed));
    }
    while let Some(response) = open.join_next().await {
        assert!(response.unwrap().unwrap().status().is_server_error());
    }
    course
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_for_a_minute_they_have_to_bear_a_fifth_more_than_is_sent() {
    for order in [Order::Priority, Order::RoundRobin, Order::LeastRequest, Order::PeakEwma] {
        let course = borne(FailoverPolicy::new().order(order), 100, 60).await;

        // At first there is a budget that was not used.
        let settled: u32 = course.iter().skip(20).sum();
        assert!((4_000..=4_800).contains(&settled), "{order:?}: {course:?}");
    }
}
