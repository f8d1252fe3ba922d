//! What is counted, and what is shown.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portcullis_circuit_breaker::{
    CircuitBreakerLayer, CircuitBreakerPolicy, KeyedCircuitBreakerLayer, OpenTime, Window,
};
use tokio::time::advance;
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};

/// What `scrape` shows for a metric with all these labels; none if it is not there.
fn value(scrape: &PrometheusHandle, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let text = scrape.render();
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
            && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
    });
    let line = lines.next()?;
    assert_eq!(lines.next(), None, "{name} {labels:?} is not one");
    line.rsplit(' ').next()?.parse().ok()
}

async fn call(layer: &CircuitBreakerLayer, status: u16) {
    let response = Response::builder().status(status).body(Full::<Bytes>::default()).unwrap();
    let service = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(response.clone())));
    layer.layer(service).oneshot(Request::new(())).await.unwrap();
}

fn policy() -> CircuitBreakerPolicy {
    let second = Duration::from_secs(1);
    CircuitBreakerPolicy::new()
        .window(Window::calls(4, 4).unwrap())
        .consecutive_failures(NonZeroU32::new(2).unwrap())
        .open_time(OpenTime::new(second, second).unwrap().without_jitter())
}

#[tokio::test(start_paused = true)]
async fn calls_transitions_and_the_state_are_shown() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let layer = CircuitBreakerLayer::new("orders", policy());
    let state = || value(&scrape, "circuit_breaker_state", &[("name", "orders")]);
    let calls = |outcome| {
        value(&scrape, "circuit_breaker_calls_total", &[("name", "orders"), ("outcome", outcome)])
    };
    assert_eq!(state(), Some(0.0));

    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let mut early = spawn(layer.layer(hangs).oneshot(Request::new(())));
    assert!(early.poll().is_pending());
    drop(spawn(layer.layer(hangs).oneshot(Request::new(()))).poll());
    for status in [200, 500, 500, 200] {
        call(&layer, status).await;
    }
    drop(early);

    assert_eq!(state(), Some(1.0));
    assert_eq!(calls("success"), Some(1.0));
    assert_eq!(calls("failure"), Some(2.0));
    assert_eq!(calls("rejected"), Some(1.0));
    assert_eq!(calls("stale"), Some(1.0));
    assert_eq!(calls("neutral"), Some(1.0));
    let opened = [
        ("name", "orders"),
        ("from", "closed"),
        ("to", "open"),
        ("reason", "consecutive_failures"),
    ];
    assert_eq!(value(&scrape, "circuit_breaker_transitions_total", &opened), Some(1.0));

    advance(Duration::from_secs(1)).await;
    call(&layer, 200).await;
    assert_eq!(state(), Some(2.0));
    call(&layer, 200).await;
    assert_eq!(state(), Some(0.0));
}

#[tokio::test]
async fn rates_are_shown_as_of_the_last_snapshot() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let layer = CircuitBreakerLayer::new("orders", policy());
    for status in [200, 200, 200, 500] {
        call(&layer, status).await;
    }

    let _ = layer.handle().snapshot();

    let name = [("name", "orders")];
    assert_eq!(value(&scrape, "circuit_breaker_failure_rate", &name), Some(0.25));
    assert_eq!(value(&scrape, "circuit_breaker_slow_rate", &name), Some(0.0));
}

#[tokio::test]
async fn keyed_circuits_are_counted_together_and_by_no_key() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let key = |parts: &Parts| Some(parts.uri.path().to_owned());
    let layer =
        KeyedCircuitBreakerLayer::new("hosts", policy(), key, NonZeroUsize::new(2).unwrap());
    let service = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });

    for path in ["/a", "/b", "/c"] {
        let request = Request::get(path).body(()).unwrap();
        layer.layer(service).oneshot(request).await.unwrap();
    }

    let name = [("name", "hosts")];
    assert_eq!(value(&scrape, "circuit_breaker_keys", &name), Some(2.0));
    let calls = [("name", "hosts"), ("outcome", "success")];
    assert_eq!(value(&scrape, "circuit_breaker_calls_total", &calls), Some(3.0));
    assert_eq!(value(&scrape, "circuit_breaker_state", &name), None);
}
