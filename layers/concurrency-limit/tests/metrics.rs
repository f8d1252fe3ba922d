//! What is counted, and what is shown.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::pending;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portcullis_concurrency_limit::{ConcurrencyLimitLayer, ConcurrencyPolicy, Queue};
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, ServiceExt, service_fn};

/// What `scrape` shows for this line, or zero.
fn value(scrape: &PrometheusHandle, line: &str) -> u64 {
    let text = scrape.render();
    let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_waits_and_is_refused_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let one = NonZeroU32::MIN;
    let queue = Queue::new(one, Duration::from_secs(1)).unwrap();
    let layer = ConcurrencyLimitLayer::new("app", ConcurrencyPolicy::fixed(one).queue(queue));
    let service =
        layer.layer(service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, ()>>()));
    let shown = |what: &str| value(&scrape, &format!("concurrency_limit_{what}{{name=\"app\"}}"));
    let requests = |outcome: &str| {
        let line =
            format!("concurrency_limit_requests_total{{name=\"app\",outcome=\"{outcome}\"}}");
        value(&scrape, &line)
    };
    let ask = || spawn(service.clone().oneshot(Request::new(())));

    let (mut served, mut waits, mut refused) = (ask(), ask(), ask());
    assert_pending!(served.poll());
    assert_pending!(waits.poll());
    assert_ready_ok!(refused.poll());
    assert_eq!((shown("limit"), shown("under_way"), shown("waiting")), (1, 1, 1));

    advance(Duration::from_secs(1)).await;
    assert_ready_ok!(waits.poll());
    drop(served);

    assert_eq!((shown("under_way"), shown("waiting")), (0, 0));
    assert_eq!((requests("admitted"), requests("full"), requests("late")), (1, 1, 1));
}
