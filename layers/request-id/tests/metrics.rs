//! What is counted.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::ready;

use http::{Request, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portcullis_request_id::{RequestIdLayer, RequestIdPolicy, Trust};
use tokio_test::{assert_ready_ok, task::spawn};
use tower::{Layer, ServiceExt, service_fn};

fn count(scrape: &PrometheusHandle, source: &str) -> u64 {
    let text = scrape.render();
    let line = format!("request_id_total{{source=\"{source}\"}} ");
    text.lines().find_map(|known| known.strip_prefix(&line)).map_or(0, |it| it.parse().unwrap())
}

#[test]
fn where_ids_are_from_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let ask = |policy, sent: Option<&str>| {
        let inner = service_fn(|_: Request<()>| ready(Ok::<_, ()>(Response::new(()))));
        let request =
            sent.into_iter().fold(Request::get("/"), |it, id| it.header("x-request-id", id));
        let service = RequestIdLayer::new(policy).layer(inner);
        assert_ready_ok!(spawn(service.oneshot(request.body(()).unwrap())).poll());
    };
    let trusting = || RequestIdPolicy::new().trusted(Trust::All);

    ask(trusting(), None);
    ask(trusting(), Some("good"));
    ask(trusting(), Some("no good"));
    ask(trusting(), Some("no good either"));
    ask(RequestIdPolicy::new(), Some("good"));

    let counted = ["generated", "accepted", "invalid", "untrusted"].map(|it| count(&scrape, it));
    assert_eq!(counted, [1, 1, 2, 1]);
}
