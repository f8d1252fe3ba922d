//! Values that each request says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use portcullis_header_inject::{
    HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule, OnMissing, Rule, Secret, Source,
    Value,
};
use tower::{Layer, ServiceExt, service_fn};

const USER: HeaderName = HeaderName::from_static("x-user");
const NAME: HeaderName = HeaderName::from_static("x-name");

/// What an authentication above left in the extensions.
#[derive(Clone)]
struct User(&'static [u8]);

fn user(request: &Parts) -> Option<HeaderValue> {
    request.extensions.get().map(|User(name)| HeaderValue::from_bytes(name).unwrap())
}

fn policy<const N: usize>(rules: [Rule; N]) -> HeaderInject {
    HeaderInject::new().request(HeaderRules::new(rules).unwrap())
}

fn request(user: Option<&'static [u8]>, headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(user) = user {
        request = request.extension(User(user));
    }
    request.body(()).unwrap()
}

/// The headers that come out below the layer.
fn seen(layer: &HeaderInjectLayer, request: Request<()>) -> HeaderMap {
    let echo = service_fn(async |request: Request<()>| {
        Ok::<_, ()>(Response::new(request.headers().clone()))
    });
    tokio_test::block_on(layer.layer(echo).oneshot(request)).unwrap().into_body()
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

#[test]
fn set_puts_what_the_request_says_in_place_of_what_the_client_said() {
    let layer = HeaderInjectLayer::new(policy([Rule::set(USER, Value::from_request(user))]));
    let forged = [("x-user", "forged"), ("X-User", "twice"), ("x_user", "twin")];

    let headers = seen(&layer.unwrap(), request(Some(b"alice"), &forged));

    assert_eq!(values(&headers, &USER), ["alice"]);
    assert!(!headers.contains_key("x_user"));
}

#[test]
fn set_leaves_nothing_of_the_clients_where_the_request_says_nothing() {
    let layer = HeaderInjectLayer::new(policy([Rule::set(USER, Value::from_request(user))]));
    let forged = [("x-user", "forged"), ("X-User", "twice"), ("x_user", "twin")];

    assert!(seen(&layer.unwrap(), request(None, &forged)).is_empty());
}

#[test]
fn a_value_beyond_ascii_counts_as_none() {
    let layer = HeaderInjectLayer::new(policy([Rule::set(USER, Value::from_request(user))]));
    let forged = request(Some(b"caf\xe9"), &[("x-user", "forged")]);

    assert!(seen(&layer.unwrap(), forged).is_empty());
}

#[test]
fn append_adds_nothing_where_the_request_says_nothing() {
    let rule = Rule::append(USER, Value::from_request(user));
    let layer = HeaderInjectLayer::new(policy([rule])).unwrap();

    let headers = seen(&layer, request(Some(b"alice"), &[("x-user", "sent")]));
    assert_eq!(values(&headers, &USER), ["sent", "alice"]);
    let headers = seen(&layer, request(None, &[("x-user", "sent")]));
    assert_eq!(values(&headers, &USER), ["sent"]);
}

#[test]
fn set_if_absent_does_not_ask_for_what_is_there() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let source = Value::from_request(move |request: &Parts| {
        count.fetch_add(1, Ordering::Relaxed);
        user(request)
    });
    let layer = HeaderInjectLayer::new(policy([Rule::set_if_absent(USER, source)])).unwrap();

    let headers = seen(&layer, request(Some(b"alice"), &[("x-user", "")]));
    assert_eq!(values(&headers, &USER), [""]);
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    let headers = seen(&layer, request(Some(b"alice"), &[]));
    assert_eq!(values(&headers, &USER), ["alice"]);
    assert!(seen(&layer, request(None, &[])).is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_source_sees_what_the_rules_before_its_own_left() {
    let shout = |request: &Parts| {
        let name = request.headers.get(USER)?.to_str().ok()?;
        HeaderValue::try_from(name.to_uppercase()).ok()
    };
    let layer = HeaderInjectLayer::new(policy([
        Rule::rename(NAME, USER),
        Rule::set(USER, Value::from_request(shout)),
        Rule::set(NAME, Value::from_request(|request: &Parts| request.headers.get(USER).cloned())),
    ]));

    let headers = seen(&layer.unwrap(), request(None, &[("x-name", "alice")]));

    assert_eq!(values(&headers, &USER), ["ALICE"]);
    assert_eq!(values(&headers, &NAME), ["ALICE"]);
}

#[test]
fn a_full_header_map_keeps_no_forged_value() {
    let mut forged = request(Some(b"alice"), &[("x-user", "forged"), ("x-name", "forged")]);
    for i in 0.. {
        let name = HeaderName::try_from(format!("x-{i}")).unwrap();
        if forged.headers_mut().try_append(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }
    let layer = HeaderInjectLayer::new(policy([
        Rule::set(USER, Value::from_request(user)),
        Rule::set(NAME, Value::from_request(|_: &Parts| None)),
    ]));

    let headers = seen(&layer.unwrap(), forged);

    assert_eq!(values(&headers, &USER), ["alice"]);
    assert!(!headers.contains_key(NAME));
}

#[test]
fn a_name_stands_for_what_the_application_says() {
    struct Method;

    impl Source for Method {
        fn value(&self, request: &Parts) -> Option<HeaderValue> {
            HeaderValue::from_str(request.method.as_str()).ok()
        }
    }

    let rules = [Rule::set(USER, Value::named("method")), Rule::set(NAME, Value::named("host"))];
    let response = HeaderRules::new([Rule::set(NAME, Value::named("host"))]).unwrap();
    let layer = HeaderInjectLayer::resolving(policy(rules).response(response), |name| match name {
        "method" => Some(Value::from_request(Method)),
        "host" => Some(HeaderValue::from_static("a").into()),
        _ => None,
    })
    .unwrap();
    let answer = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(())));

    let headers = seen(&layer, request(None, &[("x-user", "forged")]));
    let response = tokio_test::block_on(layer.layer(answer).oneshot(request(None, &[]))).unwrap();

    assert_eq!(values(&headers, &USER), ["GET"]);
    assert_eq!(values(&headers, &NAME), ["a"]);
    assert_eq!(response.headers()[NAME], "a");
}

#[test]
fn a_name_that_stands_for_nothing_makes_no_layer() {
    let rules = || [Rule::remove(NAME), Rule::append(USER, Value::named("claim:sbu"))];
    let unknown = InvalidRule::UnknownSource { header: USER, source: "claim:sbu".into() };

    let alone = HeaderInjectLayer::new(policy(rules())).unwrap_err();
    let none = HeaderInjectLayer::resolving(policy(rules()), |_| None).unwrap_err();
    let another = |_: &str| Some(Value::named("claim:sub"));
    let another = HeaderInjectLayer::resolving(policy(rules()), another).unwrap_err();
    let response = HeaderInject::new().response(HeaderRules::new(rules()).unwrap());
    let response = HeaderInjectLayer::new(response).unwrap_err();

    assert_eq!([&alone, &none, &another, &response], [&unknown; 4]);
    assert!(alone.to_string().contains("`x-user` comes from \"claim:sbu\""), "{alone}");
}

#[test]
fn a_name_is_held_to_the_same_rules_as_a_value() {
    let cafe = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let named = policy([Rule::set(USER, Value::named("cafe"))]);
    let refused = HeaderInjectLayer::resolving(named, |_| Some(cafe.clone().into()));
    assert_eq!(refused.unwrap_err(), InvalidRule::NotAscii(USER));

    let protected = HeaderRules::new([Rule::set(AUTHORIZATION, Value::from_request(user))]);
    assert_eq!(protected, Err(InvalidRule::Protected(AUTHORIZATION)));
}

#[test]
fn a_response_has_no_request_to_ask() {
    let asking = Value::from_request(user);
    for rule in [
        Rule::set(USER, asking.clone()),
        Rule::append(USER, asking.clone()),
        Rule::set_if_absent(USER, asking.clone()),
        Rule::set(USER, Value::named("user")),
    ] {
        let response = HeaderInject::new().response(HeaderRules::new([rule]).unwrap());
        let refused = HeaderInjectLayer::resolving(response, |_| Some(asking.clone()));
        assert_eq!(refused.unwrap_err(), InvalidRule::NoRequest(USER));
    }
}

#[test]
fn a_secret_stays_one_wherever_it_comes_from() {
    let plain = HeaderValue::from_static("hunter2");
    let layer = HeaderInjectLayer::resolving(
        policy([
            Rule::set(USER, Value::from_request(user).secret()),
            Rule::set(NAME, Value::named("key").secret()),
            Rule::set(AUTHORIZATION, Value::from(plain.clone()).secret()).allow_protected(),
        ]),
        |_| Some(plain.clone().into()),
    )
    .unwrap();

    assert!(!format!("{layer:?}").contains("hunter2"));
    let headers = seen(&layer, request(Some(b"alice"), &[]));
    assert_eq!(headers.len(), 3);
    assert!(headers.values().all(HeaderValue::is_sensitive));
}

#[test]
fn values_are_equal_when_they_cannot_differ() {
    let asking = Value::from_request(user);
    assert_eq!(asking, asking.clone());
    assert_ne!(asking, Value::from_request(user));
    assert_ne!(asking, asking.clone().secret());

    assert_eq!(Value::named("claim:sub"), Value::named("claim:sub"));
    assert_ne!(Value::named("claim:sub"), Value::named("claim:role"));
    assert_ne!(Value::named("claim:sub"), Value::named("claim:sub").secret());
    assert_ne!(Value::named("a"), HeaderValue::from_static("a").into());
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(Value, Box<dyn Source>)>();
}

#[test]
fn what_is_missing_is_removed_kept_or_refused_as_the_rule_says() {
    let set = || Rule::set(USER, Value::from_request(user));
    let replace = || Rule::replace_if_present(USER, Value::from_request(user));
    let answer = |rule: Rule| {
        let echo = service_fn(async |request: Request<()>| {
            Ok::<_, ()>(Response::new(request.headers().clone()))
        });
        let layer = HeaderInjectLayer::new(policy([rule])).unwrap();
        let sent = request(None, &[("x-user", "sent"), ("x_user", "twin")]);
        tokio_test::block_on(layer.layer(echo).oneshot(sent)).unwrap()
    };

    for rule in [set(), replace()] {
        assert!(answer(rule.clone()).body().is_empty());
        let kept = answer(rule.clone().on_missing(OnMissing::Keep)).into_body();
        assert_eq!(kept.len(), 2);
        let refused = answer(rule.on_missing(OnMissing::Reject));
        assert_eq!((refused.status(), refused.body().len()), (http::StatusCode::FORBIDDEN, 0));
    }
}

#[test]
fn a_secret_is_the_one_of_the_moment_in_both_directions() {
    let secret = Secret::new(HeaderValue::from_static("one"));
    let response = HeaderRules::new([Rule::set(NAME, &secret)]).unwrap();
    let bearer = Value::from(secret.clone()).prefixed(HeaderValue::from_static("Bearer "));
    let rules = [Rule::set(USER, &secret), Rule::set(AUTHORIZATION, bearer).allow_protected()];
    let layer = HeaderInjectLayer::new(policy(rules).response(response)).unwrap();
    let echo = service_fn(async |request: Request<()>| {
        Ok::<_, ()>(Response::new(request.headers().clone()))
    });
    let service = layer.layer(echo);
    let ask = || {
        let forged = request(None, &[("x-user", "forged"), ("authorization", "forged")]);
        let (parts, seen) =
            tokio_test::block_on(service.clone().oneshot(forged)).unwrap().into_parts();
        for value in seen.values().chain([&parts.headers[NAME]]) {
            assert!(value.is_sensitive());
        }
        [seen[USER].clone(), seen[AUTHORIZATION].clone(), parts.headers[NAME].clone()]
    };

    assert_eq!(ask(), ["one", "Bearer one", "one"]);
    secret.replace(HeaderValue::from_static("two"));
    assert_eq!(ask(), ["two", "Bearer two", "two"]);
    assert!(!format!("{secret:?} {layer:?}").contains("two"));

    assert_eq!(Value::from(&secret), Value::from(secret.clone()));
    let other = Secret::new(HeaderValue::from_static("two"));
    assert_ne!(Value::from(&secret), Value::from(&other));
}

#[test]
fn a_secret_that_cannot_be_sent_is_none() {
    let secret = Secret::new(HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let layer = HeaderInjectLayer::new(policy([Rule::set(USER, &secret)])).unwrap();

    assert!(seen(&layer, request(None, &[("x-user", "forged")])).is_empty());
    secret.replace(HeaderValue::from_static("better"));
    assert_eq!(seen(&layer, request(None, &[]))[USER], "better");
}

#[test]
fn a_value_takes_its_form_wherever_it_comes_from() {
    let name = HeaderName::from_static;
    let own = Value::from(HeaderValue::from_static("d")).prefixed(HeaderValue::from_static("c"));
    let named = Value::named("own").prefixed(HeaderValue::from_static("b"));
    let layer = HeaderInjectLayer::resolving(
        policy([
            Rule::set(name("a-bin"), Value::of_bytes(b"\0\xff\n")),
            Rule::set(name("b-bin"), Value::from_request(user).in_base64()),
            Rule::set(
                name("c-bin"),
                Value::from_request(user).prefixed("a".parse().unwrap()).in_base64(),
            ),
            Rule::set(name("d"), Value::from_request(user).prefixed("user ".parse().unwrap())),
            Rule::set(name("e"), named),
            Rule::set(name("f"), Value::named("own").secret()),
        ]),
        |_| Some(own.clone()),
    )
    .unwrap();

    let headers = seen(&layer, request(Some(b"\xe9"), &[]));
    assert_eq!(headers["a-bin"], "AP8K");
    assert_eq!(headers["b-bin"], "6Q");
    assert_eq!(headers["c-bin"], "Yek");
    assert!(!headers.contains_key("d"), "it is no ASCII");
    assert_eq!((&headers["e"], &headers["f"]), (&"bcd".parse().unwrap(), &"cd".parse().unwrap()));
    assert!(headers["f"].is_sensitive() && !headers["e"].is_sensitive());

    let headers = seen(&layer, request(Some(b"bob"), &[]));
    assert_eq!(
        (&headers["b-bin"], &headers["d"]),
        (&"Ym9i".parse().unwrap(), &"user bob".parse().unwrap())
    );
    let headers = seen(&layer, request(None, &[("d", "forged"), ("b-bin", "Zm9v")]));
    assert!(!headers.contains_key("d") && !headers.contains_key("b-bin"));
}
