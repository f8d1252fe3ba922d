//! Changing the headers of a request, beside tower-http's layer for several of them.

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request};
use portcullis_benches::{NoOp, call, measure};
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule, Rule, Secret, Value,
};
use tower_http::set_header::request::SetMultipleRequestHeadersLayer;
use tower_layer::Layer;

/// A request as a browser's, in a header map that has room.
fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = HeaderMap::with_capacity(32);
    for (name, value) in SENT {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

fn set() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let static_pair =
        |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    SET.into_iter().map(static_pair)
}

fn layer(rules: impl IntoIterator<Item = Rule>) -> Result<HeaderInjectLayer, InvalidRule> {
    HeaderInjectLayer::new(HeaderInject::new().request(HeaderRules::new(rules)?))
}

fn every_verb() -> [Rule; 8] {
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let get = || Condition::new().method(Method::GET).has(name("cookie")).lacks(name("x-none"));
    let secret = Secret::new(value("token"));
    [
        Rule::set(name("x-feature"), value("on")).when(get()),
        Rule::set(name("x-mode"), value("write")).when(Condition::new().method(Method::POST)),
        Rule::set(name("x-key"), secret),
        Rule::replace_if_present(name("referer"), value("-")),
        Rule::set_if_absent(name("x-tenant"), value("acme")),
        Rule::append(name("via"), value("1.1 gateway")),
        Rule::copy(name("user-agent"), name("x-client")),
        Rule::rename(name("x-trace"), name("x-parent")),
    ]
}

fn header_inject(criterion: &mut Criterion) -> Result<(), InvalidRule> {
    let inner = NoOp::<()>::new();
    let sets = || set().map(|(name, value)| Rule::set(name, value));
    let four = layer(sets())?.layer(inner);
    let others = [
        Rule::remove(HeaderName::from_static("x-internal")),
        Rule::rename(HeaderName::from_static("x-trace"), HeaderName::from_static("x-parent")),
        Rule::append(HeaderName::from_static("via"), HeaderValue::from_static("1.1 gateway")),
    ];
    let seven = layer(sets().chain(others))?.layer(inner);
    let metadata = set().map(Into::into).collect();
    let rival = SetMultipleRequestHeadersLayer::overriding(metadata).layer(inner);

    let mut service = layer([])?.layer(inner);
    measure(criterion, "header_inject: no rules", 0, request, |request| {
        call(&mut service, request)
    });
    let mut service = four.clone();
    measure(criterion, "header_inject: four set", 0, request, |request| {
        call(&mut service, request)
    });
    let mut service = rival.clone();
    measure(criterion, "tower-http: four set", 0, request, |request| call(&mut service, request));
    let mut service = seven;
    measure(
        criterion,
        "header_inject: four set, one removed, renamed, appended",
        0,
        request,
        |request| call(&mut service, request),
    );

    // Nor do the other verbs, conditions, and values that are replaced in use allocate.
    let mut service = layer(every_verb())?.layer(inner);
    measure(criterion, "header_inject: every verb, conditions, a secret", 0, request, |request| {
        call(&mut service, request)
    });

    // A value that the source makes costs the source's allocation and no other.
    let said = |request: &Parts| HeaderValue::from_str(request.method.as_str()).ok();
    let said = Rule::set(HeaderName::from_static("x-method"), Value::from_request(said));
    let mut service = layer([said])?.layer(inner);
    measure(criterion, "header_inject: one said by the request", 1, request, |request| {
        call(&mut service, request)
    });
    let none = Value::from_request(|_: &Parts| None);
    let none = Rule::set(HeaderName::from_static("x-internal"), none);
    let mut service = layer([none])?.layer(inner);
    measure(criterion, "header_inject: one not said, and removed", 0, request, |request| {
        call(&mut service, request)
    });

    // As axum does it: a clone of the stack for each request.
    measure(criterion, "header_inject: four set, service cloned", 0, request, |request| {
        call(&mut four.clone(), request)
    });
    measure(criterion, "tower-http: four set, service cloned", 5, request, |request| {
        call(&mut rival.clone(), request)
    });
    Ok(())
}

fn run(criterion: &mut Criterion) {
    assert!(header_inject(criterion).is_ok());
}

criterion_group!(benches, run);
criterion_main!(benches);

const SENT: [(&str, &str); 10] = [
    ("host", "api.example"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://app.example/items"),
    ("cookie", "session=3f2a0c9e"),
    ("x-internal", "forged"),
    ("x-trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("sec-fetch-mode", "navigate"),
];

const SET: [(&str, &str); 4] = [
    ("x-feature", "on"),
    ("x-tenant", "acme"),
    ("x-region", "eu-central-1"),
    ("accept-encoding", "identity"),
];
