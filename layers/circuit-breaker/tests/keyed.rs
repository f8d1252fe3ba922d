//! A circuit for each key.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::num::{NonZeroU32, NonZeroUsize};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use portcullis_circuit_breaker::{
    CircuitBreakerPolicy, CircuitState, HttpClassifier, KeyOf, KeyedCircuitBreakerLayer, Mode, Open,
};
use proptest::prelude::*;
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};

/// The host, if there is one.
#[derive(Clone)]
struct Host;

impl KeyOf<String> for Host {
    fn key(&self, parts: &Parts) -> Option<String> {
        parts.uri.host().map(str::to_owned)
    }
}

type HostLayer = KeyedCircuitBreakerLayer<String, Host>;

fn layer(most: usize) -> HostLayer {
    let policy = CircuitBreakerPolicy::new().consecutive_failures(NonZeroU32::MIN);
    KeyedCircuitBreakerLayer::new("test", policy, Host, NonZeroUsize::new(most).unwrap())
}

async fn call(layer: &HostLayer, uri: &str, status: u16) -> Response<()> {
    let service = service_fn(move |_: Request<()>| {
        ready(Ok::<_, Infallible>(
            Response::builder().status(status).body(Full::<Bytes>::default()).unwrap(),
        ))
    });
    let request = Request::get(uri).header(CONTENT_TYPE, "text/plain").body(()).unwrap();
    layer.layer(service).oneshot(request).await.unwrap().map(drop)
}

async fn is_refused(layer: &HostLayer, uri: &str) -> bool {
    call(layer, uri, 200).await.extensions().get::<Open>().is_some()
}

#[tokio::test]
async fn one_key_that_fails_leaves_the_others_alone() {
    let layer = layer(10);

    call(&layer, "http://a/", 500).await;

    assert!(is_refused(&layer, "http://a/").await);
    assert!(!is_refused(&layer, "http://b/").await);
    let handle = layer.handle();
    assert_eq!(handle.circuit(&"a".to_owned()).unwrap().state(), CircuitState::Open);
    assert_eq!(handle.circuit(&"b".to_owned()).unwrap().state(), CircuitState::Closed);
    assert!(handle.circuit(&"c".to_owned()).is_none());
}

#[tokio::test]
async fn a_request_without_a_key_is_let_through_and_not_counted() {
    let layer = layer(10);

    for _ in 0..3 {
        assert_eq!(call(&layer, "/", 500).await.status(), 500);
    }

    assert!(layer.handle().is_empty());
}

#[tokio::test]
async fn a_closure_over_the_parts_is_a_key() {
    let key = |parts: &Parts| Some(parts.method.clone());
    let layer =
        KeyedCircuitBreakerLayer::new("test", CircuitBreakerPolicy::new(), key, NonZeroUsize::MIN);
    let service = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });

    layer.layer(service).oneshot(Request::new(())).await.unwrap();

    assert_eq!(layer.handle().keys(), [http::Method::GET]);
}

#[tokio::test]
async fn keys_of_clients_choice_take_no_more_room_than_there_is() {
    let layer = layer(8);

    for host in 0..10_000 {
        call(&layer, &format!("http://h{host}/"), 200).await;
        assert!(layer.handle().len() <= 8);
    }
}

#[tokio::test]
async fn an_open_circuit_outlives_any_number_of_new_keys() {
    let layer = layer(4);
    for host in ["a", "b", "c"] {
        call(&layer, &format!("http://{host}/"), 500).await;
    }

    for host in 0..1000 {
        call(&layer, &format!("http://h{host}/"), 200).await;
    }

    for host in ["a", "b", "c"] {
        assert!(is_refused(&layer, &format!("http://{host}/")).await, "{host}");
    }
}

#[tokio::test]
async fn circuits_that_only_measure_give_way_like_closed_ones() {
    let policy = CircuitBreakerPolicy::new().mode(Mode::MetricsOnly);
    let most = NonZeroUsize::new(2).unwrap();
    let layer = KeyedCircuitBreakerLayer::new("test", policy, Host, most);
    call(&layer, "http://forced/", 200).await;
    layer.handle().circuit(&"forced".to_owned()).unwrap().force_open();

    for host in 0..10 {
        call(&layer, &format!("http://h{host}/"), 200).await;
    }

    assert!(is_refused(&layer, "http://forced/").await);
}

#[tokio::test]
async fn when_all_are_open_a_new_key_takes_the_place_of_one() {
    let layer = layer(2);
    for host in ["a", "b", "c", "d"] {
        call(&layer, &format!("http://{host}/"), 500).await;
    }

    assert_eq!(layer.handle().len(), 2);
    assert!(is_refused(&layer, "http://d/").await);
}

#[tokio::test]
async fn a_key_in_use_outlives_those_that_are_not() {
    let layer = layer(4);
    call(&layer, "http://used/", 200).await;
    let first = layer.handle().circuit(&"used".to_owned()).unwrap();

    for host in 0..100 {
        call(&layer, &format!("http://h{host}/"), 200).await;
        call(&layer, "http://used/", 200).await;
    }

    assert_eq!(first.snapshot().calls(), 101);
}

#[tokio::test]
async fn a_circuit_with_a_call_under_way_outlives_idle_ones() {
    let layer = layer(2);
    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let request = Request::get("http://busy/").body(()).unwrap();
    let mut busy = spawn(layer.layer(hangs).oneshot(request));
    assert!(busy.poll().is_pending());

    for host in 0..100 {
        call(&layer, &format!("http://h{host}/"), 200).await;
    }

    assert!(layer.handle().keys().contains(&"busy".to_owned()));
}

#[tokio::test]
async fn services_and_clones_of_a_layer_share_its_circuits() {
    let layer = layer(10);

    call(&layer.clone(), "http://a/", 500).await;

    assert!(is_refused(&layer, "http://a/").await);
    let reclassified = layer.classify_with(HttpClassifier::new());
    assert!(reclassified.handle().is_empty());
}

proptest! {
    #[test]
    fn whatever_the_keys_are_no_open_circuit_gives_way_to_a_new_one_while_another_is_closed(
        calls in prop::collection::vec((0..12_u8, prop::bool::weighted(0.1)), 1..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (layer, mut open) = (layer(6), std::collections::BTreeSet::new());
            for (host, fails) in calls {
                call(&layer, &format!("http://h{host}/"), if fails { 500 } else { 200 }).await;
                if fails {
                    open.insert(format!("h{host}"));
                }
                if open.len() > 5 {
                    break;
                }
                let keys = layer.handle().keys();
                assert!(open.iter().all(|host| keys.contains(host)), "{open:?} {keys:?}");
            }
        });
    }
}
