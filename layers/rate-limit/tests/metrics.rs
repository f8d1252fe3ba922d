//! What is counted, and what is shown.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::{Method, Request, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portcullis_rate_limit::{Limit, LimitPolicy, Mode, RateLimitLayer, Wait, by_address};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

/// What `scrape` shows for this line, or zero.
fn value(scrape: &PrometheusHandle, line: &str) -> u64 {
    let text = scrape.render();
    let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

async fn ask(layer: &RateLimitLayer, request: Request<()>) {
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    layer.layer(inner).oneshot(request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_limit_counts_what_it_decides() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let shadow = LimitPolicy::new("1/h".parse().unwrap()).mode(Mode::Shadow);
    let client = by_address(|parts| parts.extensions.get::<IpAddr>().copied());
    let wait = Wait::new(Duration::from_secs(1), NonZeroUsize::MIN);
    let real = LimitPolicy::new("1/s burst 2".parse().unwrap()).wait(wait);
    let limits = [Limit::new("real", real), Limit::new("shadow", shadow).key(client)];
    let limits = limits.map(|limit| limit.exempt(|parts| parts.method == Method::OPTIONS));
    let layer = RateLimitLayer::new(limits).unwrap();
    let decisions = |limit, outcome| {
        value(
            &scrape,
            &format!("rate_limit_decisions_total{{limit=\"{limit}\",outcome=\"{outcome}\"}}"),
        )
    };

    for _ in 0..2 {
        ask(&layer, Request::new(())).await;
    }
    let mut waiting = tokio_test::task::spawn(ask(&layer, Request::new(())));
    assert!(waiting.poll().is_pending());
    assert_eq!(value(&scrape, "rate_limit_waiting{limit=\"real\"}"), 1);
    for request in [Request::new(()), Request::options("/").body(()).unwrap()] {
        ask(&layer, request).await;
    }

    assert_eq!(decisions("real", "allowed"), 2);
    assert_eq!(decisions("real", "delayed"), 1);
    assert_eq!(decisions("real", "refused"), 1);
    assert_eq!(decisions("real", "exempt"), 1);
    assert_eq!(decisions("shadow", "allowed"), 1);
    assert_eq!(decisions("shadow", "shadowed"), 2);
    assert_eq!(decisions("shadow", "refused"), 0);
    assert_eq!(value(&scrape, "rate_limit_missing_keys_total{limit=\"shadow\"}"), 4);
    assert_eq!(value(&scrape, "rate_limit_keys{limit=\"shadow\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_too_small_shows() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let policy = LimitPolicy::new("10/h".parse().unwrap()).keys(NonZeroUsize::MIN);
    let client = by_address(|parts| parts.extensions.get::<IpAddr>().copied());
    let layer = RateLimitLayer::new([Limit::new("client", policy).key(client)]).unwrap();

    for client in 0..11_u8 {
        let mut request = Request::new(());
        request.extensions_mut().insert(IpAddr::from([192, 0, 2, client]));
        ask(&layer, request).await;
    }

    assert_eq!(value(&scrape, "rate_limit_keys{limit=\"client\"}"), 8);
    assert_eq!(value(&scrape, "rate_limit_crowded_total{limit=\"client\"}"), 3);
    assert_eq!(value(&scrape, "rate_limit_evictions_total{limit=\"client\"}"), 0);
    advance(Duration::from_secs(3600)).await;
    ask(&layer, Request::new(())).await;
    assert_eq!(value(&scrape, "rate_limit_evictions_total{limit=\"client\"}"), 1);
}
