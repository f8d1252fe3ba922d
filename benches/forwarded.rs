//! Finding out who the client is, and telling the next hop; no rival does both.

use std::net::IpAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Uri};
use portcullis_benches::{NoOp, call, measure};
use portcullis_forwarded::{Element, ForwardedLayer, ForwardedPolicy, NextHop, Peer};
use tower_layer::Layer;

/// As a proxy sends it.
fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    let mut headers = HeaderMap::with_capacity(32);
    headers.insert(HOST, HeaderValue::from_static("app.example"));
    let chain = HeaderValue::from_static("203.0.113.1, 192.0.2.7, 10.0.0.2");
    headers.insert(HeaderName::from_static("x-forwarded-for"), chain);
    headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"));
    *request.headers_mut() = headers;
    request
}

#[expect(clippy::expect_used, reason = "the policies are constants")]
fn forwarded(criterion: &mut Criterion) {
    let policy = || ForwardedPolicy::new().trusted(["10.0.0.0/8".parse().expect("a network")]);
    let from = |address: [u8; 4]| move |_: &Parts| Some(Peer::new(IpAddr::from(address)));
    let silent = || policy().x_forwarded(NextHop::Strip);
    let both = policy().forwarded(NextHop::Write);

    let cases = [
        ("a client, the next hop told nothing", silent(), [192, 0, 2, 1], 4),
        ("a proxy, the next hop told nothing", silent(), [10, 0, 0, 1], 6),
        ("a client", policy(), [192, 0, 2, 1], 5),
        ("a proxy", policy(), [10, 0, 0, 1], 10),
        ("a proxy, in both headers", both, [10, 0, 0, 1], 17),
    ];
    for (name, policy, peer, allocations) in cases {
        let name = format!("forwarded: {name}");
        let layer = ForwardedLayer::new(policy, from(peer));
        let mut service = layer.layer(layer.tell().layer(NoOp::<()>::new()));
        measure(criterion, &name, allocations, request, |it| call(&mut service, it));
    }
    let line = "for=192.0.2.43, for=\"[2001:db8:cafe::17]:4711\";proto=https;host=example.com";
    measure(criterion, "forwarded: a line of two elements", 1, || line, Element::parse_line);
}

criterion_group!(benches, forwarded);
criterion_main!(benches);
