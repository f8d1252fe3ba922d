//! What is counted through the `metrics` facade.
#![cfg(feature = "metrics")]

use http::header::{CONNECTION, HOST};
use http::{Request, Response};
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis_host_strip::{
    ClientHost, ClientHostLayer, HopByHop, HopByHopLayer, HostPolicy, HostStripLayer, OnAmbiguity,
};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn what_is_removed_rejected_and_ignored_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder().header("keep-alive", "5").header("x-debug", "1");
        Ok::<_, ()>(response.body(()).unwrap())
    });
    let hop_by_hop = HopByHop::strict().remove("x-debug".parse().unwrap());
    let ignoring = ClientHost::default().on_ambiguity(OnAmbiguity::Ignore);
    let strip = HopByHopLayer::new(hop_by_hop).layer(inner);
    let judge = ClientHostLayer::new(ClientHost::default()).layer(inner);
    let ignore = ClientHostLayer::new(ignoring).layer(inner);
    let lost = HostStripLayer::new(HostPolicy::FromUri).layer(inner);
    let request = || Request::builder().header(HOST, "a b");

    let sent = request().header(CONNECTION, "x-a, close").header("x-a", "1").header("te", "x");
    strip.clone().oneshot(sent.body(()).unwrap()).await.unwrap();
    strip.oneshot(request().header(CONNECTION, "host").body(()).unwrap()).await.unwrap();
    judge.oneshot(request().body(()).unwrap()).await.unwrap();
    ignore.oneshot(request().body(()).unwrap()).await.unwrap();
    lost.oneshot(request().body(()).unwrap()).await.unwrap();

    let text = recorder.handle().render();
    let removed = |direction, kind, count| {
        format!(
            "host_strip_headers_removed_total{{direction=\"{direction}\",kind=\"{kind}\"}} {count}\n"
        )
    };
    let reason = |metric, reason| format!("host_strip_{metric}_total{{reason=\"{reason}\"}} 1\n");
    for line in [
        removed("request", "fixed", 2),
        removed("request", "nominated", 1),
        removed("response", "fixed", 1),
        removed("response", "extra", 1),
        reason("rejected", "protected_nomination"),
        reason("rejected", "host_malformed"),
        reason("rejected", "no_authority"),
        reason("ignored", "host_malformed"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
