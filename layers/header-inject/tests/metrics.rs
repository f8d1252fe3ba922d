//! What is counted through the `metrics` facade.
#![cfg(feature = "metrics")]

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderInjectLayer, HeaderRules, Rule, Value,
};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn what_rules_did_and_why_they_did_nothing_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let name = HeaderName::from_static;
    let value = || HeaderValue::from_static("1");
    let rules = HeaderRules::new([
        Rule::set(name("a"), value()),
        Rule::set(name("b"), value()),
        Rule::append(name("c"), value()),
        Rule::set_if_absent(name("d"), value()),
        Rule::set_if_absent(name("d"), value()),
        Rule::replace_if_present(name("d"), value()),
        Rule::copy(name("a"), name("e")),
        Rule::rename(name("e"), name("f")),
        Rule::remove(name("f")),
        Rule::remove(name("nothing")),
        Rule::remove_prefix("g".parse().unwrap()),
        Rule::set(name("h"), Value::from_request(|_: &Parts| None)),
        Rule::set(name("i"), value()).when(Condition::new().method(Method::POST)),
    ]);
    let response = HeaderRules::new([Rule::set(name("a"), value())]).unwrap();
    let policy = HeaderInject::new().request(rules.unwrap()).response(response);
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));

    let layer = HeaderInjectLayer::new(policy).unwrap();
    let request = Request::builder().header("g-a", "1").body(()).unwrap();
    layer.layer(inner).oneshot(request).await.unwrap();

    let text = recorder.handle().render();
    let applied = |op, count| format!("header_inject_applied_total{{op=\"{op}\"}} {count}\n");
    let skipped = |why, count| format!("header_inject_skipped_total{{reason=\"{why}\"}} {count}\n");
    for line in [
        applied("set", 3),
        applied("append", 1),
        applied("set_if_absent", 1),
        applied("replace_if_present", 1),
        applied("copy", 1),
        applied("rename", 1),
        applied("remove", 1),
        applied("remove_prefix", 1),
        skipped("missing", 1),
        skipped("condition", 1),
        skipped("full", 0),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
