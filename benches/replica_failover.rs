//! A request that the first replica answers, by the order of the replicas and by what is kept of it, and one that fails over;
//! beside tower's retry, which keeps a clone of the request, and no record of replicas.

use std::convert::Infallible;
use std::future::Ready;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{Empty, Full};
use portcullis_benches::{NoOp, call, measure};
use portcullis_replica_failover::{
    FailoverPolicy, Hedge, Order, ReplayBody, Replica, ReplicaFailoverLayer,
};
use tower::retry::{Policy, Retry};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

type Answer = Response<Empty<Bytes>>;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn get() -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    request
}

fn with_headers() -> Request<Empty<Bytes>> {
    let mut request = get();
    for name in ["accept", "accept-encoding", "accept-language", "cookie", "referer", "user-agent"]
    {
        request.headers_mut().insert(name, HeaderValue::from_static("value"));
    }
    request
}

fn upload() -> Request<Full<Bytes>> {
    let mut request = get().map(|_| Full::from("upload"));
    *request.method_mut() = http::Method::PUT;
    request
}

/// Three replicas that answer, in this order.
fn replicas(order: Order) -> impl Service<Request<Empty<Bytes>>, Error = Infallible> + Clone {
    let replica = |name| Replica::new(name, NoOp::<Empty<Bytes>>::new());
    ReplicaFailoverLayer::new(FailoverPolicy::new().order(order)).layer(NAMES.map(replica).into())
}

/// Sends what failed once more.
#[derive(Clone, Copy)]
struct Again;

impl Policy<Request<Empty<Bytes>>, Answer, Infallible> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Empty<Bytes>>,
        result: &mut Result<Answer, Infallible>,
    ) -> Option<Self::Future> {
        let failed = result.as_ref().is_ok_and(|answer| answer.status().is_server_error());
        failed.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}

fn replica_failover(criterion: &mut Criterion) {
    let bare = NoOp::<Empty<Bytes>>::new();
    let (mut inner, mut retry) = (bare, Retry::new(Again, bare));
    measure(criterion, "replica_failover: no layer", 0, get, |request| call(&mut inner, request));
    measure(criterion, "replica_failover: tower::retry", 0, get, |request| {
        call(&mut retry, request)
    });
    measure(criterion, "replica_failover: tower::retry, six headers", 2, with_headers, |request| {
        call(&mut retry, request)
    });

    let one = vec![Replica::new("a", bare)];
    let mut one = ReplicaFailoverLayer::default().layer(one);
    measure(criterion, "replica_failover: one replica", 0, with_headers, |request| {
        call(&mut one, request)
    });
    for (name, order) in [
        ("priority", Order::Priority),
        ("round robin", Order::RoundRobin),
        ("weighted", Order::Weighted),
        ("least request", Order::LeastRequest),
        ("peak EWMA", Order::PeakEwma),
        ("hash", Order::Hash),
    ] {
        let mut service = replicas(order);
        let name = format!("replica_failover: three replicas, {name}");
        measure(criterion, &name, 0, get, |request| call(&mut service, request));
    }

    // A copy of six headers takes one.
    let mut service = replicas(Order::Priority);
    measure(
        criterion,
        "replica_failover: three replicas, six headers",
        1,
        with_headers,
        |request| call(&mut service, request),
    );
    // What may be hedged is in a box, in a list of those under way.
    let hedges = [
        ("may be hedged", Hedge::after(Duration::from_secs(1))),
        ("may be hedged by a percentile", Hedge::after(Duration::from_secs(1)).percentile(95)),
    ];
    for (name, hedge) in hedges {
        let list = NAMES.map(|name| Replica::new(name, bare)).into();
        let mut service = ReplicaFailoverLayer::new(FailoverPolicy::new().hedge(hedge)).layer(list);
        let name = format!("replica_failover: three replicas, {name}");
        measure(criterion, &name, 2, get, |request| call(&mut service, request));
    }
    // What attempts share of a body takes one; a service that reads it, the bytes that are kept.
    let list = NAMES.map(|name| Replica::new(name, bare)).into();
    let mut service = ReplicaFailoverLayer::default().layer(list);
    measure(criterion, "replica_failover: three replicas, a body", 1, upload, |request| {
        call(&mut service, request)
    });

    // What it takes to resume a download takes one; the headers of the answer itself take two.
    let download = service_fn(|_: Request<ReplayBody<Empty<Bytes>>>| {
        let mut response = Response::new(Full::<Bytes>::from("download"));
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"v1\""));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("8"));
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let list = NAMES.map(|name| Replica::new(name, download)).into();
    let mut service = ReplicaFailoverLayer::default().layer(list);
    measure(criterion, "replica_failover: a download to resume", 3, get, |request| {
        call(&mut service, request)
    });

    // Going on takes the record of what was tried, as it grows, and in the first extension of the response. To be counted
    // takes one.
    let answer = |status| {
        service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
            let mut response = Answer::default();
            *response.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(response))
        })
    };
    let list = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK];
    let list = NAMES.into_iter().zip(list).map(|(name, status)| Replica::new(name, answer(status)));
    let policy = FailoverPolicy::new().order(Order::Priority).failback_after(Duration::ZERO);
    let mut failing = ReplicaFailoverLayer::new(policy).layer(list.collect());
    measure(criterion, "replica_failover: one fails over", 9, get, |request| {
        call(&mut failing, request)
    });
}

criterion_group!(benches, replica_failover);
criterion_main!(benches);
