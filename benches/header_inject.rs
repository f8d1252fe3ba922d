//! Changing the headers of a request, beside tower-http's layer for several of them.

use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use portcullis_benches::{NoOp, call, measure};
use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, InvalidRule, Rule};
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
