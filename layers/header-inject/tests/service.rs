//! What the upstream and the client see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, SERVER,
    SET_COOKIE, VIA,
};
use http::{Request, Response, StatusCode};
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderInjectLayer, HeaderPrefix, HeaderRules, InjectHeaders,
    InvalidRule, MediaType, NotInjected, OnMissing, ResponseFuture, Rule, Secret, Statuses, Value,
};
use portcullis_refusal::Refused;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const USER: HeaderName = HeaderName::from_static("x-user");
const NAME: HeaderName = HeaderName::from_static("x-name");

fn text(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

fn rules<const N: usize>(rules: [Rule; N]) -> HeaderRules {
    HeaderRules::new(rules).unwrap()
}

/// Sends `headers` through `rules`; the headers that come out below.
async fn forward<const N: usize>(
    own: [Rule; N],
    headers: &[(&'static str, &'static str)],
) -> HeaderMap {
    let layer = HeaderInjectLayer::new(HeaderInject::new().request(rules(own))).unwrap();
    let (mut service, mut upstream) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }

    assert_ready_ok!(service.poll_ready());
    drop(service.call(request.body(()).unwrap()));
    drop(service);

    let (request, _) = upstream.next_request().await.unwrap();
    request.headers().clone()
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn set_leaves_nothing_of_what_the_client_sent() {
    let seen = forward([Rule::set(USER, text("me"))], &[("X-User", "a"), ("x-user", "b")]).await;

    assert_eq!(values(&seen, "x-user"), ["me"]);
}

#[tokio::test]
async fn append_keeps_each_value_on_a_line_of_its_own() {
    let seen = forward([Rule::append(VIA, text("1.1 gateway"))], &[("via", "1.0 fred")]).await;

    assert_eq!(values(&seen, "via"), ["1.0 fred", "1.1 gateway"]);
}

#[tokio::test]
async fn set_if_absent_keeps_even_an_empty_value() {
    let rule = || Rule::set_if_absent(ACCEPT, text("*/*"));

    assert_eq!(forward([rule()], &[]).await[ACCEPT], "*/*");
    assert_eq!(forward([rule()], &[("accept", "")]).await[ACCEPT], "");
}

#[tokio::test]
async fn remove_takes_every_value() {
    let seen = forward([Rule::remove(USER)], &[("x-user", "a"), ("x-user", "b")]).await;

    assert!(seen.is_empty());
}

#[tokio::test]
async fn replace_if_present_puts_nothing_where_nothing_was() {
    let rule = || Rule::replace_if_present(USER, text("me"));

    let seen = forward([rule()], &[("x-user", "a"), ("x-user", "")]).await;
    assert_eq!(values(&seen, "x-user"), ["me"]);
    assert!(forward([rule()], &[]).await.is_empty());
}

#[tokio::test]
async fn copy_leaves_what_it_copies_and_nothing_that_was_forged() {
    let rule = || Rule::copy(NAME, USER);

    let sent = [("x-name", "a"), ("x-name", "b"), ("x-user", "forged"), ("x_user", "forged")];
    let seen = forward([rule()], &sent).await;
    assert_eq!(values(&seen, "x-user"), ["a", "b"]);
    assert_eq!(values(&seen, "x-name"), ["a", "b"]);
    assert!(!seen.contains_key("x_user"));
    assert!(forward([rule()], &sent[2..]).await.is_empty());

    let to_singleton = Rule::copy(NAME, CONTENT_TYPE);
    let seen = forward([to_singleton], &sent[..2]).await;
    assert_eq!(values(&seen, "content-type"), ["a"]);
}

#[tokio::test]
async fn a_prefix_takes_all_that_begin_alike_in_any_spelling() {
    let rule = Rule::remove_prefix("X-Internal-".parse().unwrap());
    let sent = [
        ("x-internal-a", "1"),
        ("x-internal-a", "2"),
        ("X_Internal_B", "1"),
        ("x-internal", "kept"),
        ("x-internals-a", "kept"),
    ];

    let seen = forward([rule], &sent).await;

    assert_eq!(names(&seen), ["x-internal", "x-internals-a"]);
}

#[tokio::test]
async fn a_prefix_takes_no_header_that_frames_or_is_protected() {
    let all =
        || ["content-", "t", "auth", "ho"].map(|text| Rule::remove_prefix(text.parse().unwrap()));
    let sent = [
        ("content-length", "1"),
        ("content-type", "a/b"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("authorization", "a"),
        ("host", "a"),
    ];

    let seen = forward(all(), &sent).await;
    assert!(!seen.contains_key(CONTENT_TYPE));
    assert_eq!(seen.len(), sent.len() - 1);

    let seen = forward(all().map(Rule::allow_protected), &sent).await;
    assert_eq!(names(&seen), ["content-length", "te", "transfer-encoding"]);
}

#[tokio::test]
async fn rename_moves_every_value_in_order() {
    let rule = Rule::rename(NAME, USER);
    let seen = forward([rule], &[("x-name", "a"), ("x-name", "b"), ("x-name", "c")]).await;

    assert_eq!(values(&seen, "x-user"), ["a", "b", "c"]);
    assert!(!seen.contains_key("x-name"));
}

#[tokio::test]
async fn a_forged_copy_of_the_new_name_does_not_survive() {
    let rule = || Rule::rename(NAME, USER);

    let replaced = forward([rule()], &[("x-user", "forged"), ("x-name", "real")]).await;
    assert_eq!(values(&replaced, "x-user"), ["real"]);

    let absent = forward([rule()], &[("x-user", "forged")]).await;
    assert!(absent.is_empty());
}

#[tokio::test]
async fn a_header_that_may_stand_only_once_gets_the_first_of_many() {
    let rule = Rule::rename(NAME, AUTHORIZATION).allow_protected();
    let seen = forward([rule], &[("x-name", "a"), ("x-name", "b")]).await;

    assert_eq!(values(&seen, "authorization"), ["a"]);
    assert!(!seen.contains_key("x-name"));
}

#[tokio::test]
async fn bytes_beyond_ascii_are_renamed_as_they_are() {
    let opaque = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let mut request = Request::new(());
    request.headers_mut().insert(NAME, opaque.clone());

    let policy = HeaderInject::new().request(rules([Rule::rename(NAME, USER)]));
    let echo = service_fn(async |request: Request<()>| {
        let mut response = Response::new(());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, ()>(response)
    });
    let response =
        HeaderInjectLayer::new(policy).unwrap().layer(echo).oneshot(request).await.unwrap();

    assert_eq!(response.headers()[USER], opaque);
}

#[tokio::test]
async fn rules_act_in_the_order_of_their_list() {
    let set = || Rule::set(USER, text("me"));

    assert!(forward([set(), Rule::remove(USER)], &[]).await.is_empty());
    assert_eq!(forward([Rule::remove(USER), set()], &[]).await[USER], "me");
}

#[tokio::test]
async fn what_looks_like_a_decided_header_to_cgi_is_dropped() {
    let forged = [("x_user", "forged"), ("other_header", "kept")];
    for rule in [Rule::set(USER, text("me")), Rule::remove(USER), Rule::rename(NAME, USER)] {
        let seen = forward([rule], &forged).await;

        assert!(!seen.contains_key("x_user"));
        assert_eq!(seen["other_header"], "kept");
    }
}

#[tokio::test]
async fn a_look_alike_that_a_rule_names_or_that_is_only_added_to_stays() {
    let twin = HeaderName::from_static("x_user");
    let seen = forward([Rule::rename(twin, USER)], &[("x_user", "me")]).await;
    assert_eq!(seen[USER], "me");

    let seen = forward([Rule::append(USER, text("b"))], &[("x_user", "a")]).await;
    assert_eq!(seen["x_user"], "a");
}

#[tokio::test]
async fn a_full_header_map_neither_panics_nor_keeps_a_forged_value() {
    let mut request = Request::new(());
    request.headers_mut().insert(USER, text("forged"));
    for i in 0.. {
        let name = HeaderName::try_from(format!("x-{i}")).unwrap();
        if request.headers_mut().try_append(name, text("")).is_err() {
            break;
        }
    }
    let policy = HeaderInject::new().request(rules([
        Rule::append(VIA, text("1.1 gateway")),
        Rule::set_if_absent(ACCEPT, text("*/*")),
        Rule::copy(USER, NAME),
        Rule::replace_if_present(USER, text("me")),
        Rule::set(USER, text("me")),
    ]));
    let (mut service, mut upstream) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(HeaderInjectLayer::new(policy).unwrap());

    assert_ready_ok!(service.poll_ready());
    drop(service.call(request));
    drop(service);

    let (request, _) = upstream.next_request().await.unwrap();
    assert_eq!(values(request.headers(), "x-user"), ["me"]);
    assert!(!request.headers().contains_key(VIA));
}

#[tokio::test]
async fn response_rules_cover_refusals_but_no_errors() {
    let policy = HeaderInject::new().response(rules([Rule::remove(SERVER)]));
    let inner = service_fn(async |request: Request<bool>| {
        if *request.body() {
            let refusal = Response::builder().status(StatusCode::FORBIDDEN).header(SERVER, "x");
            Ok(refusal.body(()).unwrap())
        } else {
            Err("gone")
        }
    });
    let service = HeaderInjectLayer::new(policy).unwrap().layer(inner);

    let refusal = service.clone().oneshot(Request::new(true)).await.unwrap();
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
    assert!(refusal.headers().is_empty());
    assert_eq!(service.oneshot(Request::new(false)).await.unwrap_err(), "gone");
}

#[tokio::test]
async fn cookies_are_never_joined_nor_lost() {
    let policy = HeaderInject::new().response(rules([Rule::append(SET_COOKIE, text("c=3"))]));
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder().header(SET_COOKIE, "a=1").header(SET_COOKIE, "b=2");
        Ok::<_, ()>(response.body(()).unwrap())
    });

    let service = HeaderInjectLayer::new(policy).unwrap().layer(inner);
    let response = service.oneshot(Request::new(())).await.unwrap();

    assert_eq!(values(response.headers(), "set-cookie"), ["a=1", "b=2", "c=3"]);
}

#[test]
fn readiness_is_that_of_the_inner_service() {
    let layer = HeaderInjectLayer::new(HeaderInject::new()).unwrap();
    let (mut service, mut upstream) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);

    upstream.allow(0);
    assert_pending!(service.poll_ready());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    upstream.send_error("closed");
    assert_ready_err!(service.poll_ready());
}

#[tokio::test]
async fn the_only_permit_serves_one_request_after_the_other() {
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    let inner = ConcurrencyLimitLayer::new(1).layer(inner);
    let mut service = HeaderInjectLayer::new(HeaderInject::new()).unwrap().layer(inner);

    for _ in 0..3 {
        service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_future_drops_the_inner_one() {
    let held = Arc::new(());
    let inner = service_fn(|_: Request<()>| {
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, ()>(Response::new(()))
        }
    });
    let mut service = HeaderInjectLayer::new(HeaderInject::new()).unwrap().layer(inner);

    let future = service.call(Request::new(()));
    assert_eq!(Arc::strong_count(&held), 2);
    drop(future);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn framing_and_hop_by_hop_headers_are_refused_whatever_the_rule_allows() {
    for name in [
        "connection",
        "content-length",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        let name = HeaderName::from_static(name);
        for rule in [
            Rule::set(name.clone(), text("1")),
            Rule::append(name.clone(), text("1")),
            Rule::set_if_absent(name.clone(), text("1")),
            Rule::remove(name.clone()),
            Rule::rename(name.clone(), USER),
            Rule::rename(USER, name.clone()),
            Rule::replace_if_present(name.clone(), text("1")),
            Rule::copy(USER, name.clone()),
        ] {
            let refused = HeaderRules::new([rule.allow_protected()]);
            assert_eq!(refused, Err(InvalidRule::Forbidden(name.clone())));
        }
    }
}

#[test]
fn authorization_and_host_must_be_allowed() {
    for name in [AUTHORIZATION, HOST] {
        for rule in [
            Rule::set(name.clone(), text("1")),
            Rule::remove(name.clone()),
            Rule::rename(USER, name.clone()),
            Rule::replace_if_present(name.clone(), text("1")),
            Rule::copy(USER, name.clone()),
        ] {
            let refused = HeaderRules::new([rule.clone()]);
            assert_eq!(refused, Err(InvalidRule::Protected(name.clone())));
            assert!(HeaderRules::new([rule.allow_protected()]).is_ok());
        }
    }
}

#[test]
fn a_header_that_may_stand_only_once_is_not_appended() {
    for name in [CONTENT_TYPE, COOKIE, AUTHORIZATION, HOST] {
        let rule = Rule::append(name.clone(), text("1")).allow_protected();
        assert_eq!(HeaderRules::new([rule]), Err(InvalidRule::Singleton(name)));
    }
}

#[test]
fn a_value_beyond_ascii_and_a_rename_to_itself_are_refused() {
    let value = HeaderValue::from_bytes(b"caf\xe9").unwrap();

    assert_eq!(HeaderRules::new([Rule::set(USER, value)]), Err(InvalidRule::NotAscii(USER)));
    for rule in [Rule::rename(USER, USER), Rule::copy(USER, USER)] {
        assert_eq!(HeaderRules::new([rule]), Err(InvalidRule::SameName(USER)));
    }
}

#[tokio::test]
async fn headers_that_become_too_large_are_refused_both_ways() {
    // Names, values and four bytes each: 8 + 10 + 4.
    let set = || rules([Rule::set(USER, text("0123456789"))]);
    let bounded = |bytes| HeaderInject::new().request(set()).max_header_block(bytes);
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));
    let answer = async |policy: HeaderInject| {
        let service = HeaderInjectLayer::new(policy).unwrap().layer(inner);
        service.oneshot(Request::new(())).await.unwrap()
    };

    assert_eq!(answer(bounded(20)).await.status(), StatusCode::OK);
    let refused = answer(bounded(19)).await;
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(refused.extensions().get(), Some(&NotInjected::HeadersTooLarge));
    let reason = refused.extensions().get::<Refused>().unwrap().reason();
    assert_eq!(reason, "injected_headers_too_large");

    let response = |bytes| HeaderInject::new().response(set()).max_header_block(bytes);
    assert_eq!(answer(response(20)).await.status(), StatusCode::OK);
    let failed = answer(response(19)).await;
    assert_eq!((failed.status(), failed.headers().len()), (StatusCode::BAD_GATEWAY, 0));
}

#[tokio::test]
async fn a_refusal_is_made_in_the_clients_dialect_and_without_the_inner_service() {
    let missing = Value::from_request(|_: &http::request::Parts| None);
    let rule = || Rule::append(USER, missing.clone()).on_missing(OnMissing::Reject);
    let layer = || HeaderInjectLayer::new(HeaderInject::new().request(rules([rule()]))).unwrap();
    let (mut service, mut upstream) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer());
    assert_ready_ok!(service.poll_ready());

    let refused = service.call(Request::new(())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.extensions().get(), Some(&NotInjected::MissingValue(USER)));
    assert_pending!(tokio_test::task::spawn(upstream.next_request()).poll());

    struct NoDefault;
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(NoDefault)));
    let grpc = Request::builder().header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
    let service = layer().refuse_with(|| NoDefault).layer(inner);
    let refused = service.oneshot(grpc).await.unwrap();
    assert_eq!((refused.status(), &refused.headers()["grpc-status"]), (StatusCode::OK, &text("7")));
}

#[test]
fn a_sensitive_value_is_not_printed_and_tells_policies_apart() {
    let mut secret = text("hunter2");
    secret.set_sensitive(true);
    let policy = |value| HeaderInject::new().request(rules([Rule::set(USER, value)]));

    let layer = HeaderInjectLayer::new(policy(secret.clone())).unwrap();
    assert!(!format!("{:?} {:?}", layer, layer.layer(())).contains("hunter2"));
    assert_eq!(policy(secret.clone()), policy(secret.clone()));
    assert_ne!(policy(secret), policy(text("hunter2")));
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(HeaderInject, HeaderInjectLayer, HeaderRules, Rule, InvalidRule)>();
    check::<(InjectHeaders<()>, ResponseFuture<(), ()>, NotInjected, OnMissing)>();
    check::<(Condition, HeaderPrefix, MediaType, Secret, Statuses)>();
}
