//! What is let through while a shared store is away, and what is counted.
#![cfg(all(feature = "metrics", feature = "redis"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::{Request, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portcullis_rate_limit::{
    Cause, InvalidUrl, Limit, Quota, RateLimitLayer, Redis, Throttled, WhenAway,
};
use tower::{Layer, ServiceExt, service_fn};

fn away(scrape: &PrometheusHandle, answer: &str) -> u64 {
    let text = scrape.render();
    let line = format!("rate_limit_store_away_total{{answer=\"{answer}\"}} ");
    text.lines().find_map(|known| known.strip_prefix(&line)).map_or(0, |it| it.parse().unwrap())
}

/// At a socket that nobody has.
fn nowhere(when_away: WhenAway) -> RateLimitLayer<Redis> {
    let redis = Redis::new("redis+unix:///nowhere/at/all").unwrap().when_away(when_away);
    let quota: Quota = "1/h".parse().unwrap();
    RateLimitLayer::new([Limit::new("all", quota)]).unwrap().store(redis)
}

async fn ask(layer: &RateLimitLayer<Redis>) -> Response<()> {
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    layer.layer(inner).oneshot(Request::new(())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_as_configured_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    for (when_away, answer, statuses) in [
        (WhenAway::Local, "local", [200, 429, 429]),
        (WhenAway::Open, "open", [200, 200, 200]),
        (WhenAway::Closed, "closed", [503, 503, 503]),
    ] {
        let layer = nowhere(when_away);
        for status in statuses {
            assert_eq!(ask(&layer).await.status(), status, "{answer}");
        }

        assert_eq!(away(&scrape, answer), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_since_it_is_away_is_told_to_come_back() {
    let refused = ask(&nowhere(WhenAway::Closed)).await;

    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.extensions().get::<Throttled>().unwrap().cause(), Cause::StoreAway);
}

#[test]
fn what_is_no_url_is_an_error_and_no_password_is_printed() {
    let InvalidUrl { .. } = Redis::new("not a url").unwrap_err();
    let redis = Redis::new("redis://:secret@localhost/").unwrap().prefix("mine");

    let printed = format!("{redis:?}");

    assert!(printed.contains("mine") && !printed.contains("secret"), "{printed}");
}
