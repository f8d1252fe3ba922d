//! The contract: what a client, the inner service, and the next request see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use portcullis_rate_limit::{
    Answer, Cause, Demands, Headers, InMemory, InvalidLimits, Key, Limit, LimitPolicy, MissingKey,
    Mode, Quota, RateLimit, RateLimitHandle, RateLimitLayer, ResponseFuture, Store, Throttled,
    Verdict, Wait, by_address, by_both, by_header, everyone,
};
use portcullis_refusal::{DefaultBody, Refused};
use tokio::sync::oneshot;
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<()>, Response<()>>;
type Upstream = mock::Handle<Request<()>, Response<()>>;

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

fn one(text: &str) -> RateLimitLayer {
    RateLimitLayer::new([Limit::new("all", quota(text))]).unwrap()
}

fn set_up<St: Clone + Store>(layer: RateLimitLayer<St>) -> (Spawn<RateLimit<Inner, St>>, Upstream) {
    mock::spawn_layer(layer)
}

fn request() -> Request<()> {
    Request::new(())
}

fn from(address: &str) -> Request<()> {
    let mut request = request();
    request.extensions_mut().insert(address.parse::<IpAddr>().unwrap());
    request
}

fn grpc() -> Request<()> {
    Request::post("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap()
}

fn by_client() -> impl portcullis_rate_limit::KeyOf + Clone {
    by_address(|parts| parts.extensions.get::<IpAddr>().copied())
}

/// What a service that always answers says to `request` through `layer`.
async fn ask<St: Store + Clone>(layer: &RateLimitLayer<St>, request: Request<()>) -> Response<()> {
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    layer.layer(inner).oneshot(request).await.unwrap()
}

async fn status<St: Store + Clone>(layer: &RateLimitLayer<St>, request: Request<()>) -> u16 {
    ask(layer, request).await.status().as_u16()
}

fn throttled<B>(response: &Response<B>) -> &Throttled {
    response.extensions().get().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_through_and_the_next_is_refused_in_words_that_clients_know() {
    let layer = one("2/s burst 3");
    for _ in 0..3 {
        assert_eq!(status(&layer, request()).await, 200);
    }
    advance(Duration::from_millis(100)).await;

    let refused = ask(&layer, request()).await;

    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    assert_eq!(refused.headers()["ratelimit-policy"], r#""all";q=2;w=1"#);
    assert_eq!(refused.headers()["ratelimit"], r#""all";r=0;t=1"#);
    assert_eq!(refused.extensions().get::<Refused>().unwrap().reason(), "rate_limited");
    assert_eq!(throttled(&refused).limit(), "all");
    assert_eq!(throttled(&refused).cause(), Cause::Exceeded);
    assert_eq!(throttled(&refused).retry_after(), Some(Duration::from_millis(400)));
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_after_retry_after_is_let_through() {
    for (text, spent) in
        [("1/s burst 1", 1), ("7/m burst 3", 3), ("100/s burst 20", 20), ("1/d", 1)]
    {
        let layer = one(text);
        for _ in 0..spent {
            assert_eq!(status(&layer, request()).await, 200);
        }
        let refused = ask(&layer, request()).await;
        let seconds = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();

        advance(Duration::from_secs(seconds)).await;

        assert_eq!(status(&layer, request()).await, 200, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_several_limits_exceeded_retry_after_is_that_of_the_longest() {
    let limits = [
        Limit::new("a", quota("1/s")),
        Limit::new("b", quota("1/m")),
        Limit::new("c", quota("1/s")),
    ];
    let layer = RateLimitLayer::new(limits).unwrap();
    assert_eq!(status(&layer, request()).await, 200);

    let refused = ask(&layer, request()).await;

    assert_eq!(throttled(&refused).limit(), "b");
    assert_eq!(refused.headers()[RETRY_AFTER], "60");
    advance(Duration::from_secs(60)).await;
    assert_eq!(status(&layer, request()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_client_is_refused_in_grpc_and_told_when_to_try_again() {
    let layer = one("2/s burst 1");
    assert_eq!(status(&layer, grpc()).await, 200);
    advance(Duration::from_micros(100_100)).await;

    let refused = ask(&layer, grpc()).await;

    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "400", "rounded up");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_uses_up_nothing_of_any_limit() {
    let limits = [
        Limit::new("all", quota("10/h burst 10")),
        Limit::new("client", quota("1/h")).key(by_client()),
    ];
    let layer = RateLimitLayer::new(limits).unwrap();
    assert_eq!(status(&layer, from("192.0.2.1")).await, 200);

    for _ in 0..100 {
        assert_eq!(status(&layer, from("192.0.2.1")).await, 429);
    }

    for client in 2..=10 {
        assert_eq!(status(&layer, from(&format!("192.0.2.{client}"))).await, 200, "{client}");
    }
    let refused = ask(&layer, from("192.0.2.11")).await;
    assert_eq!(throttled(&refused).limit(), "all");
}

#[tokio::test(start_paused = true)]
async fn a_request_costs_what_it_is_said_to() {
    let cost = |parts: &http::request::Parts| {
        let units = parts.uri.path().len().try_into().unwrap();
        NonZeroU32::new(units).unwrap()
    };
    let layer = RateLimitLayer::new([Limit::new("all", quota("10/h")).cost(cost)]).unwrap();
    let of = |units: usize| Request::get("/".repeat(units)).body(()).unwrap();

    assert_eq!(status(&layer, of(6)).await, 200);
    assert_eq!(status(&layer, of(5)).await, 429);
    assert_eq!(status(&layer, of(4)).await, 200);
    assert_eq!(status(&layer, of(1)).await, 429);
}

#[tokio::test(start_paused = true)]
async fn what_costs_more_than_there_ever_is_is_not_told_to_come_again() {
    let cost = |_: &http::request::Parts| NonZeroU32::new(11).unwrap();
    let layer = RateLimitLayer::new([Limit::new("all", quota("10/s")).cost(cost)]).unwrap();

    let refused = ask(&layer, request()).await;
    let in_grpc = ask(&layer, grpc()).await;

    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(throttled(&refused).retry_after(), None);
    assert_eq!(in_grpc.headers()["grpc-retry-pushback-ms"], "-1");
}

#[tokio::test(start_paused = true)]
async fn a_shadowed_limit_refuses_nobody_and_holds_up_no_other() {
    let shadow = LimitPolicy::new(quota("1/h")).mode(Mode::Shadow);
    let limits = [Limit::new("shadow", shadow), Limit::new("real", quota("3/h"))];
    let layer = RateLimitLayer::new(limits).unwrap();

    for _ in 0..3 {
        assert_eq!(status(&layer, request()).await, 200);
    }
    let refused = ask(&layer, request()).await;

    assert_eq!(throttled(&refused).limit(), "real");
    assert_eq!(refused.headers()["ratelimit-policy"], r#""real";q=3;w=3600"#);
}

#[tokio::test(start_paused = true)]
async fn an_exempt_request_takes_nothing() {
    let limit = Limit::new("all", quota("1/h")).exempt(|parts| parts.method == Method::OPTIONS);
    let layer = RateLimitLayer::new([limit]).unwrap();

    for _ in 0..3 {
        assert_eq!(status(&layer, Request::options("/").body(()).unwrap()).await, 200);
    }

    assert_eq!(status(&layer, request()).await, 200);
    assert_eq!(status(&layer, request()).await, 429);
    assert_eq!(status(&layer, Request::options("/").body(()).unwrap()).await, 200);
}

#[tokio::test(start_paused = true)]
async fn clients_have_allowances_of_their_own_and_an_ipv6_network_has_one() {
    let layer = RateLimitLayer::new([Limit::new("client", quota("1/h")).key(by_client())]).unwrap();

    assert_eq!(status(&layer, from("192.0.2.1")).await, 200);
    assert_eq!(status(&layer, from("::ffff:192.0.2.1")).await, 429, "the same, mapped");
    assert_eq!(status(&layer, from("192.0.2.2")).await, 200);
    assert_eq!(status(&layer, from("2001:db8:0:1::1")).await, 200);
    assert_eq!(status(&layer, from("2001:db8:0:1:ffff:ffff:ffff:ffff")).await, 429, "the same /64");
    assert_eq!(status(&layer, from("2001:db8:0:2::1")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_key_share_go_through_or_are_refused() {
    let limit = |missing| {
        let policy = LimitPolicy::new(quota("1/h")).missing_key(missing);
        RateLimitLayer::new([Limit::new("client", policy).key(by_client())]).unwrap()
    };

    let share = limit(MissingKey::Share);
    assert_eq!(status(&share, request()).await, 200);
    assert_eq!(status(&share, request()).await, 429);
    assert_eq!(status(&share, from("192.0.2.1")).await, 200);

    let allow = limit(MissingKey::Allow);
    for _ in 0..3 {
        assert_eq!(status(&allow, request()).await, 200);
    }

    let refuse = limit(MissingKey::Refuse);
    let refused = ask(&refuse, request()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(throttled(&refused).cause(), Cause::MissingKey);
    assert!(!refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(ask(&refuse, grpc()).await.headers()["grpc-status"], "3");
}

#[tokio::test(start_paused = true)]
async fn keys_can_be_headers_and_pairs() {
    let tenant = by_header(HeaderName::from_static("x-tenant"));
    let limit = Limit::new("both", quota("1/h")).key(by_both(tenant, by_client()));
    let layer = RateLimitLayer::new([limit]).unwrap();
    let of = |tenant: &str, client| {
        let mut request = from(client);
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        request
    };

    assert_eq!(status(&layer, of("a", "192.0.2.1")).await, 200);
    assert_eq!(status(&layer, of("a", "192.0.2.1")).await, 429);
    assert_eq!(status(&layer, of("b", "192.0.2.1")).await, 200);
    assert_eq!(status(&layer, of("a", "192.0.2.2")).await, 200);
}

#[test]
fn no_two_pairs_are_the_same_key() {
    let pair = |one: &str, other: &str| Key::new(one).and(&Key::new(other));

    assert!(pair("ab", "c") != pair("a", "bc"));
    assert!(pair("a", "b") == pair("a", "b"));
    assert!(Key::new("a") != pair("a", ""));
    let long = |length| Key::new("x".repeat(length));
    assert!(long(100) == long(100) && long(100) != long(99));
    assert!(
        long(38) == long(38) && long(38) != long(39),
        "as many as take no allocation, and more"
    );
    assert!(!format!("{:?}", Key::new("secret")).contains("secret"));
    let of = |address: &str, prefix| Key::network(address.parse().unwrap(), prefix, prefix);
    assert!(
        of("192.0.2.1", 24) == of("192.0.2.255", 24) && of("192.0.2.1", 24) != of("192.0.3.1", 24)
    );
    assert!(of("192.0.2.1", 0) == of("198.51.100.1", 0) && of("::1", 0) == of("2001:db8::", 0));
    assert!(of("2001:db8::1", 128) != of("2001:db8::2", 128));
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_what_the_tightest_limit_has_left() {
    let always = |text| LimitPolicy::new(quota(text)).headers(Headers::Always);
    let limits =
        [Limit::new("wide", always("100/s")), Limit::new("a \"b\"", always("5/m burst 5"))];
    let layer = RateLimitLayer::new(limits).unwrap();

    let response = ask(&layer, request()).await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["ratelimit-policy"], r#""wide";q=100;w=1, "a \"b\"";q=5;w=60"#);
    assert_eq!(response.headers()["ratelimit"], r#""a \"b\"";r=4;t=12"#);
    assert!(!ask(&one("5/s"), request()).await.headers().contains_key("ratelimit"));
}

#[test]
fn limits_that_make_no_layer_are_an_error() {
    let limit = |name: &str| Limit::new(name, quota("1/s"));

    assert_eq!(RateLimitLayer::new([]).unwrap_err(), InvalidLimits::Number);
    let nine = (0..9).map(|number| limit(&number.to_string()));
    assert_eq!(RateLimitLayer::new(nine).unwrap_err(), InvalidLimits::Number);
    assert_eq!(RateLimitLayer::new([limit("a"), limit("a")]).unwrap_err(), InvalidLimits::SameName);
}

fn patient(longest: u64, waiters: usize) -> RateLimitLayer {
    let waiters = NonZeroUsize::new(waiters).unwrap();
    let wait = Wait::new(Duration::from_millis(longest), waiters);
    let policy = LimitPolicy::new(quota("10/s burst 1")).wait(wait);
    RateLimitLayer::new([Limit::new("all", policy)]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_is_early_by_little_waits_its_turn() {
    let layer = patient(250, 10);
    let (service, mut upstream) = set_up(layer);
    let service = service.into_inner();
    assert_pending!(spawn(service.clone().oneshot(request())).poll());
    upstream.next_request().await.unwrap();

    let mut second = spawn(service.clone().oneshot(request()));
    let mut third = spawn(service.clone().oneshot(request()));
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    assert_pending!(upstream.poll_request());

    advance(Duration::from_millis(100)).await;
    assert_pending!(third.poll());
    assert_pending!(second.poll());
    upstream.next_request().await.unwrap().1.send_response(Response::new(()));
    assert_eq!(assert_ready_ok!(second.poll()).status(), 200);
    assert_pending!(upstream.poll_request());

    advance(Duration::from_millis(100)).await;
    assert_pending!(third.poll());
    upstream.next_request().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_refused_at_once() {
    let layer = patient(100, 10);
    let waiting: Vec<_> = (0..2).map(|_| spawn(ask(&layer, request()))).collect();
    for mut request in waiting {
        let _ = request.poll();
    }
    // Both have left, and have spent it all the same.
    let refused = ask(&layer, request()).await;

    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled(&refused).retry_after(), Some(Duration::from_millis(200)));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may_and_who_leaves_makes_room() {
    let layer = patient(1000, 1);
    let handle = layer.handle("all").unwrap();
    assert_eq!(status(&layer, request()).await, 200);
    let mut first = spawn(ask(&layer, request()));
    assert_pending!(first.poll());
    assert_eq!(handle.waiting(), 1);

    assert_eq!(status(&layer, request()).await, 429);
    drop(first);

    assert_eq!(handle.waiting(), 0);
    assert_pending!(spawn(ask(&layer, request())).poll());
}

#[tokio::test(start_paused = true)]
async fn who_waits_holds_no_place_of_the_inner_service() {
    let layer = patient(250, 10);
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    let limited = layer.layer(ConcurrencyLimit::new(inner, 1));
    assert_eq!(limited.clone().oneshot(request()).await.unwrap().status(), 200);
    let mut service = limited.clone();
    service.ready().await.unwrap();
    let mut waiting = spawn(service.call(request()));
    assert_pending!(waiting.poll());

    let place = limited.clone();
    let mut place = spawn(place.ready_oneshot());
    let place = assert_ready_ok!(place.poll());

    advance(Duration::from_millis(100)).await;
    assert_pending!(waiting.poll());
    drop(place);
    assert_eq!(assert_ready_ok!(waiting.poll()).status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_lets_go_of_what_the_inner_service_had_reserved() {
    let layer = one("1/h");
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    let mut service = layer.layer(ConcurrencyLimit::new(inner, 1));
    let mut other = service.clone();
    assert_eq!(service.ready().await.unwrap().call(request()).await.unwrap().status(), 200);

    let refused = service.ready().await.unwrap().call(request()).await.unwrap();

    assert_eq!(refused.status(), 429);
    assert_ready_ok!(spawn(other.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_the_inner_service_is_and_calls_the_one_that_was() {
    let (mut service, mut upstream) = set_up(one("1/h"));
    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    assert_ready_ok!(service.poll_ready());

    let mut response = spawn(service.call(request()));
    assert_pending!(response.poll());

    let (_, answer) = upstream.next_request().await.unwrap();
    answer.send_response(Response::new(()));
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn services_of_a_layer_and_its_clones_share_its_allowances() {
    let layer = one("2/h");
    assert_eq!(status(&layer, request()).await, 200);
    assert_eq!(status(&layer.clone(), request()).await, 200);

    assert_eq!(status(&layer, request()).await, 429);
}

#[tokio::test(start_paused = true)]
async fn the_handle_sees_keys_and_lets_them_start_anew() {
    let policy = LimitPolicy::new(quota("1/s")).keys(NonZeroUsize::new(100).unwrap());
    let layer = RateLimitLayer::new([Limit::new("client", policy).key(by_client())]).unwrap();
    assert!(layer.handle("other").is_none());
    let handle = layer.handle("client").unwrap();
    assert_eq!((handle.name(), handle.capacity()), ("client", 104), "in eights");
    assert!(handle.bytes() <= 104 * 18);
    assert_eq!(status(&layer, from("192.0.2.1")).await, 200);
    assert_eq!(status(&layer, from("192.0.2.1")).await, 429);
    assert_eq!(handle.keys_in_use(), 1);

    handle.forget(&Key::address("192.0.2.1".parse().unwrap()));

    assert_eq!(handle.keys_in_use(), 0);
    assert_eq!(status(&layer, from("192.0.2.1")).await, 200);
    advance(Duration::from_secs(1)).await;
    assert_eq!((handle.keys_in_use(), handle.keys()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_stands_in_two_layers_has_one_allowance() {
    let shared = Limit::new("shared", quota("2/h"));
    let narrow = Limit::new("narrow", quota("1/h"));
    let one = RateLimitLayer::new([narrow, shared.clone()]).unwrap();
    let other = RateLimitLayer::new([shared]).unwrap();

    assert_eq!(status(&one, request()).await, 200);
    assert_eq!(status(&one, request()).await, 429, "which takes nothing of what is shared");
    assert_eq!(status(&other, request()).await, 200);

    assert_eq!(throttled(&ask(&other, request()).await).limit(), "shared");
}

#[tokio::test(start_paused = true)]
async fn a_quota_changes_while_it_is_in_use_and_what_was_used_stays_used() {
    let layer = one("10/h burst 10");
    let handle = layer.handle("all").unwrap();
    for _ in 0..8 {
        assert_eq!(status(&layer, request()).await, 200);
    }

    handle.change_quota(quota("20/s burst 20"));

    assert_eq!(handle.quota(), quota("20/s burst 20"));
    for _ in 0..12 {
        assert_eq!(status(&layer, request()).await, 200);
    }
    let refused = ask(&layer, request()).await;
    assert_eq!(refused.headers()["ratelimit-policy"], r#""all";q=20;w=1"#);
    assert_eq!(throttled(&refused).retry_after(), Some(Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn nobody_owes_more_than_all_of_a_smaller_quota() {
    let layer = one("100/s burst 100");
    for _ in 0..100 {
        assert_eq!(status(&layer, request()).await, 200);
    }

    layer.handle("all").unwrap().change_quota(quota("1/m burst 2"));

    let refused = ask(&layer, request()).await;
    assert_eq!(throttled(&refused).retry_after(), Some(Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_renewed_goes_on_and_its_quota_changes_when_it_is_told_to() {
    let before = Limit::new("all", quota("5/h"));
    let old = RateLimitLayer::new([before.clone()]).unwrap();
    for _ in 0..3 {
        assert_eq!(status(&old, request()).await, 200);
    }

    let policy = LimitPolicy::new(quota("9/h")).headers(Headers::Always);
    let after = before.renewed(policy);
    let new = RateLimitLayer::new([after.clone()]).unwrap();

    assert_eq!(ask(&new, request()).await.headers()["ratelimit"], r#""all";r=1;t=2880"#);
    after.handle().change_quota(quota("9/h"));
    assert_eq!(ask(&new, request()).await.headers()["ratelimit"], r#""all";r=4;t=2000"#);
    assert_eq!(before.handle().quota(), quota("9/h"));

    let wider = before.renewed(LimitPolicy::new(quota("5/h")).keys(NonZeroUsize::MIN));
    assert_eq!(wider.handle().keys_in_use(), 0, "for other keys than before");
}

#[tokio::test(start_paused = true)]
async fn one_waits_for_the_limit_that_lets_it_wait_and_is_refused_by_the_one_that_does_not() {
    let wait = Wait::new(Duration::from_secs(1), NonZeroUsize::MIN);
    let patient = LimitPolicy::new(quota("10/s burst 1")).wait(wait);
    let limits = [Limit::new("patient", patient), Limit::new("strict", quota("2/h"))];
    let layer = RateLimitLayer::new(limits).unwrap();
    assert_eq!(status(&layer, request()).await, 200);

    assert_eq!(status(&layer, request()).await, 200, "after a while");

    let refused = ask(&layer, request()).await;
    assert_eq!(throttled(&refused).limit(), "strict");
}

#[tokio::test(start_paused = true)]
async fn only_responses_that_count_use_up_a_limit_that_charges_by_them() {
    let limits = |mode| {
        let policy = LimitPolicy::new(quota("2/h")).mode(mode);
        let logins = Limit::new("logins", policy).key(by_client());
        let logins = logins.charge(|status| status == StatusCode::UNAUTHORIZED);
        RateLimitLayer::new([Limit::new("all", quota("100/h")), logins]).unwrap()
    };
    let answer = async |layer: &RateLimitLayer, status: StatusCode| {
        let inner = service_fn(move |_: Request<()>| {
            let response = Response::builder().status(status).body(()).unwrap();
            std::future::ready(Ok::<_, ()>(response))
        });
        layer.layer(inner).oneshot(from("192.0.2.1")).await.unwrap().status().as_u16()
    };
    let layer = limits(Mode::Enforce);

    for _ in 0..10 {
        assert_eq!(answer(&layer, StatusCode::OK).await, 200);
    }
    assert_eq!(answer(&layer, StatusCode::UNAUTHORIZED).await, 401);
    assert_eq!(answer(&layer, StatusCode::OK).await, 200);
    assert_eq!(answer(&layer, StatusCode::UNAUTHORIZED).await, 401);
    assert_eq!(answer(&layer, StatusCode::OK).await, 429);
    assert_eq!(layer.handle("all").unwrap().keys_in_use(), 1);

    let shadow = limits(Mode::Shadow);
    for _ in 0..3 {
        assert_eq!(answer(&shadow, StatusCode::UNAUTHORIZED).await, 401);
    }
    assert_eq!(answer(&shadow, StatusCode::OK).await, 200);
    assert_eq!(
        shadow.handle("logins").unwrap().keys_in_use(),
        1,
        "what was not taken is not given back"
    );
}

#[tokio::test(start_paused = true)]
async fn the_handle_tells_who_is_refused_most() {
    let tenant = by_header(HeaderName::from_static("x-tenant"));
    let limit = Limit::new("l", quota("1/h")).key(by_both(by_client(), tenant));
    let layer = RateLimitLayer::new([limit]).unwrap();
    for (client, times) in [("192.0.2.1", 3), ("2001:db8::1", 5)] {
        for _ in 0..times {
            let mut request = from(client);
            request.headers_mut().insert("x-tenant", "a\tb".parse().unwrap());
            ask(&layer, request).await;
        }
    }

    let top = layer.handle("l").unwrap().top(2);

    let top: Vec<_> = top.iter().map(|it| (it.key.as_str(), it.times, it.too_many)).collect();
    assert_eq!(top, [("2001:db8::, a\\tb", 4, 0), ("192.0.2.1, a\\tb", 2, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_whose_fields_are_off_says_when_to_come_back_and_no_more() {
    let policy = LimitPolicy::new(quota("1/h")).headers(Headers::Never);
    let layer = RateLimitLayer::new([Limit::new("all", policy)]).unwrap();
    assert_eq!(status(&layer, request()).await, 200);

    let refused = ask(&layer, request()).await;

    assert_eq!(refused.headers()[RETRY_AFTER], "3600");
    assert!(!refused.headers().contains_key("ratelimit-policy"));
    assert!(!refused.headers().contains_key("ratelimit"));
}

/// Answers when it is told to.
#[derive(Clone)]
struct Slow(Arc<std::sync::Mutex<Option<oneshot::Receiver<Verdict>>>>);

struct SlowAnswer(oneshot::Receiver<Verdict>);

impl Future for SlowAnswer {
    type Output = Verdict;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Verdict> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(Result::unwrap)
    }
}

impl Store for Slow {
    type Future = SlowAnswer;

    fn take(&self, demands: Demands<'_>) -> Answer<SlowAnswer> {
        let demand = demands.iter().next().unwrap();
        assert_eq!(
            (demand.name(), demand.cost(), demand.is_enforced()),
            ("all", NonZeroU32::MIN, true)
        );
        Answer::Later(SlowAnswer(self.0.lock().unwrap().take().unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_asked_nobody_is_called_and_then_what_it_says_is_done() {
    for (verdict, expected) in [(Verdict::admitted(), 200), (Verdict::unavailable(), 503)] {
        let (answer, promise) = oneshot::channel();
        let store = Slow(Arc::new(std::sync::Mutex::new(Some(promise))));
        let layer = one("1/h").store(store);
        let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
        let limited = layer.layer(ConcurrencyLimit::new(inner, 1));
        let mut response = spawn(limited.clone().oneshot(request()));
        assert_pending!(response.poll());
        let mut other = limited.clone();
        assert_ready_ok!(spawn(other.ready()).poll());

        drop(other);
        answer.send(verdict).unwrap();

        assert!(response.is_woken());
        let response = assert_ready!(response.poll()).unwrap();
        assert_eq!(response.status(), expected);
        if expected == 503 {
            assert_eq!(throttled(&response).cause(), Cause::StoreAway);
            assert_eq!(response.headers()[RETRY_AFTER], "1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_without_a_default_are_made_by_a_closure() {
    struct NoDefault(u8);
    let layer = one("1/h").refuse_with(|| NoDefault(7));
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(NoDefault(0))));
    let service = layer.layer(inner);
    assert_eq!(service.clone().oneshot(request()).await.unwrap().body().0, 0);

    assert_eq!(service.oneshot(request()).await.unwrap().body().0, 7);
}

#[test]
fn a_layer_can_be_made_outside_of_a_runtime_and_its_parts_can_be_sent() {
    let _ = one("1/s").handle("all");
    let _ = everyone();

    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<RateLimitLayer>();
    shared::<RateLimitHandle>();
    shared::<Limit>();
    shared::<Throttled>();
    sent::<RateLimit<Inner>>();
    sent::<ResponseFuture<Inner, (), InMemory, DefaultBody>>();
}
