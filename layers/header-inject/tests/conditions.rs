//! When a rule acts, and what becomes of a client's copy when it does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SERVER,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderInjectLayer, HeaderRules, InvalidCondition, InvalidRule,
    MediaType, OnMissing, Rule, Statuses, Value,
};
use tower::{Layer, ServiceExt, service_fn};

const USER: HeaderName = HeaderName::from_static("x-user");
const NAME: HeaderName = HeaderName::from_static("x-name");

#[derive(Clone)]
struct Admin;

fn text(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

fn post() -> Condition {
    Condition::new().method(Method::POST)
}

/// The headers of `request` below a layer with `rules`.
fn seen<const N: usize>(rules: [Rule; N], request: Request<()>) -> HeaderMap {
    let policy = HeaderInject::new().request(HeaderRules::new(rules).unwrap());
    let echo = service_fn(async |request: Request<()>| {
        Ok::<_, ()>(Response::new(request.headers().clone()))
    });
    let layer = HeaderInjectLayer::new(policy).unwrap();
    tokio_test::block_on(layer.layer(echo).oneshot(request)).unwrap().into_body()
}

/// Whether a rule with `condition` acts on `request`.
fn acts(condition: Condition, request: Request<()>) -> bool {
    let rule = Rule::append(HeaderName::from_static("acted"), text("")).when(condition);
    seen([rule], request).contains_key("acted")
}

/// Whether a rule with `condition` acts on `response`.
fn acts_on(condition: Condition, response: &Response<()>) -> bool {
    let rule = Rule::append(HeaderName::from_static("acted"), text("")).when(condition);
    let policy = HeaderInject::new().response(HeaderRules::new([rule]).unwrap());
    let answer = service_fn(|_: Request<()>| std::future::ready(Ok::<_, ()>(response.clone())));
    let layer = HeaderInjectLayer::new(policy).unwrap();
    let response = tokio_test::block_on(layer.layer(answer).oneshot(Request::new(()))).unwrap();
    response.headers().contains_key("acted")
}

#[test]
fn any_of_the_methods_will_do() {
    let either = || post().method(Method::PUT);
    for (method, expected) in [(Method::POST, true), (Method::PUT, true), (Method::GET, false)] {
        let request = Request::builder().method(method.clone()).body(()).unwrap();
        assert_eq!(acts(either(), request), expected, "{method}");
    }
}

#[test]
fn all_headers_must_be_there_and_none_of_the_others() {
    let condition = || Condition::new().has(USER).has(NAME).lacks(COOKIE).lacks(SERVER);
    for (names, expected) in [
        (&["x-user", "x-name"][..], true),
        (&["x-user"], false),
        (&["x-user", "x-name", "cookie"], false),
        (&["x-user", "x-name", "server"], false),
    ] {
        let mut request = Request::new(());
        for name in names {
            request.headers_mut().insert(*name, text(""));
        }
        assert_eq!(acts(condition(), request), expected, "{names:?}");
    }
}

#[test]
fn a_content_type_is_known_without_its_parameters_and_in_any_case() {
    let html: MediaType = "Text/HTML".parse().unwrap();
    let image: MediaType = "image/*".parse().unwrap();
    let condition = || Condition::new().content_type(html.clone()).content_type(image.clone());
    for (content_type, expected) in [
        (Some("text/html"), true),
        (Some("TEXT/html ; charset=utf-8"), true),
        (Some("image/svg+xml"), true),
        (Some("text/htmlx"), false),
        (Some("text/htm"), false),
        (Some("text/plain"), false),
        (Some("imagex/png"), false),
        (Some("image"), false),
        (Some(""), false),
        (None, false),
    ] {
        let response = Response::builder();
        let response = content_type.iter().fold(response, |it, ct| it.header(CONTENT_TYPE, *ct));
        let response = response.body(()).unwrap();
        assert_eq!(acts_on(condition(), &response), expected, "{content_type:?}");
    }
    for wrong in ["text", "", "/", "text/", "/html", "*/*", "*/html", "a b/c", "a/b;c", "a/b/c"] {
        assert_eq!(wrong.parse::<MediaType>(), Err(InvalidCondition::MediaType), "{wrong}");
    }
}

#[test]
fn any_of_the_statuses_will_do() {
    let condition = || {
        Condition::new().status("4xx".parse::<Statuses>().unwrap()).status(StatusCode::BAD_GATEWAY)
    };
    for (status, expected) in
        [(200, false), (399, false), (400, true), (499, true), (500, false), (502, true)]
    {
        let response = Response::builder().status(status).body(()).unwrap();
        assert_eq!(acts_on(condition(), &response), expected, "{status}");
    }
    for (class, status) in [
        (Statuses::SUCCESS, 204),
        (Statuses::REDIRECTION, 308),
        (Statuses::CLIENT_ERROR, 404),
        (Statuses::SERVER_ERROR, 503),
    ] {
        let response = Response::builder().status(status).body(()).unwrap();
        assert!(acts_on(Condition::new().status(class), &response), "{status}");
    }
    for wrong in ["", "xx", "0xx", "6xx", "4x", "4XX", "99", "1000", "x04"] {
        assert_eq!(wrong.parse::<Statuses>(), Err(InvalidCondition::Status), "{wrong}");
    }
}

#[test]
fn an_extension_is_that_of_the_message() {
    let admin = || Condition::new().extension::<Admin>();

    let request = Request::builder().extension(Admin).body(()).unwrap();
    assert!(acts(admin(), request));
    assert!(!acts(admin(), Request::new(())));
    let response = Response::builder().extension(Admin).body(()).unwrap();
    assert!(acts_on(admin(), &response));
    assert!(!acts_on(admin(), &Response::new(())));

    assert_eq!(admin(), admin());
    assert_ne!(admin(), Condition::new().extension::<u8>());
}

#[test]
fn what_is_known_has_a_value() {
    let asked = |request: &Parts| request.headers.get(COOKIE).cloned();
    let condition = || Condition::new().known(Value::from_request(asked));

    let request = Request::builder().header(COOKIE, "a=b").body(()).unwrap();
    assert!(acts(condition(), request));
    assert!(!acts(condition(), Request::new(())));
}

#[test]
fn all_of_a_condition_must_hold() {
    let both = || post().has(USER);
    let request = |method, has_user: bool| {
        let request = Request::builder().method(method);
        let request = if has_user { request.header(USER, "a") } else { request };
        request.body(()).unwrap()
    };

    assert!(acts(both(), request(Method::POST, true)));
    assert!(!acts(both(), request(Method::POST, false)));
    assert!(!acts(both(), request(Method::GET, true)));
}

#[test]
fn a_condition_sees_what_the_rules_before_left() {
    let rules = || {
        [
            Rule::set(NAME, text("a")),
            Rule::set(USER, text("b")).when(Condition::new().has(NAME)),
            Rule::remove(NAME).when(Condition::new().has(USER)),
        ]
    };

    assert_eq!(seen(rules(), Request::new(())).keys().collect::<Vec<_>>(), ["x-user"]);
}

/// A client that would have its own copy believed by not meeting the condition.
fn forged() -> Request<()> {
    Request::builder().header(USER, "forged").header("x_user", "forged").body(()).unwrap()
}

#[test]
fn a_client_does_not_speak_for_a_rule_by_not_meeting_its_condition() {
    for rule in [
        Rule::set(USER, text("me")),
        Rule::replace_if_present(USER, text("me")),
        Rule::rename(NAME, USER),
        Rule::copy(NAME, USER),
    ] {
        let conditional = rule.clone().when(post());
        assert!(seen([conditional], forged()).is_empty(), "{rule:?}");

        let kept = rule.when(post()).on_missing(OnMissing::Keep);
        assert_eq!(seen([kept], forged()).len(), 2);
    }
}

#[test]
fn of_several_rules_for_one_header_those_that_do_not_act_take_off_nothing_of_the_others() {
    let set = |value, condition| Rule::set(USER, text(value)).when(condition);
    let get = || Condition::new().method(Method::GET);

    let rules = [set("get", get()), set("post", post())];
    assert_eq!(seen(rules.clone(), forged())[USER], "get");
    let request = Request::post("/").header(USER, "forged").body(()).unwrap();
    assert_eq!(seen(rules.clone(), request)[USER], "post");
    let request = Request::put("/").header(USER, "forged").body(()).unwrap();
    assert!(seen(rules, request).is_empty());
}

#[test]
fn what_is_taken_off_on_a_condition_is_taken_off_with_its_twins_or_not_at_all() {
    let rules = || [Rule::remove(USER).when(post())];

    assert_eq!(seen(rules(), forged()).len(), 2);
    let mut request = forged();
    *request.method_mut() = Method::POST;
    assert!(seen(rules(), request).is_empty());
}

#[test]
fn a_rule_of_responses_that_does_not_act_leaves_what_the_upstream_said() {
    let no_store = Rule::set(CACHE_CONTROL, text("no-store"));
    let rule = no_store.when(Condition::new().status(Statuses::SERVER_ERROR));
    let policy = HeaderInject::new().response(HeaderRules::new([rule]).unwrap());
    let layer = HeaderInjectLayer::new(policy).unwrap();
    let answer = |status: u16| {
        let inner = service_fn(move |_: Request<()>| {
            let response = Response::builder().status(status).header(CACHE_CONTROL, "max-age=5");
            std::future::ready(Ok::<_, ()>(response.body(()).unwrap()))
        });
        tokio_test::block_on(layer.layer(inner).oneshot(Request::new(()))).unwrap()
    };

    assert_eq!(answer(200).headers()[CACHE_CONTROL], "max-age=5");
    assert_eq!(answer(500).headers()[CACHE_CONTROL], "no-store");
}

#[test]
fn a_condition_on_the_other_direction_makes_no_layer() {
    let status = Rule::remove(USER).when(Condition::new().status(StatusCode::OK));
    let policy = HeaderInject::new().request(HeaderRules::new([status]).unwrap());
    assert_eq!(HeaderInjectLayer::new(policy).unwrap_err(), InvalidRule::NoResponse(USER));

    let asked = Value::from_request(|_: &Parts| None);
    for condition in [post(), Condition::new().known(asked)] {
        let rule = Rule::remove(USER).when(condition);
        let policy = HeaderInject::new().response(HeaderRules::new([rule]).unwrap());
        assert_eq!(HeaderInjectLayer::new(policy).unwrap_err(), InvalidRule::NoRequest(USER));
    }

    let named = Rule::remove(USER).when(Condition::new().known(Value::named("claim:sub")));
    let policy = HeaderInject::new().request(HeaderRules::new([named]).unwrap());
    assert_eq!(
        HeaderInjectLayer::new(policy).unwrap_err(),
        InvalidRule::UnknownSource { header: USER, source: "claim:sub".into() }
    );
}
