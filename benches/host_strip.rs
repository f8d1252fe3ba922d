//! Removing hop-by-hop headers, beside eight blind removals; judging the client's host; and giving the upstream its `Host`.

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Uri};
use portcullis_benches::{NoOp, call, measure};
use portcullis_host_strip::{
    ClientHost, ClientHostLayer, HopByHop, HopByHopLayer, HostPolicy, HostStripLayer, Upgrade,
};
use tower_layer::Layer;

/// A request as a browser's and `more`, in a header map that has room.
fn request(more: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("http://10.0.0.7:8080/items");
    *request.headers_mut() = HeaderMap::with_capacity(32);
    for (name, value) in SENT.iter().chain(more) {
        let line = (HeaderName::from_static(name), HeaderValue::from_static(value));
        request.headers_mut().append(line.0, line.1);
    }
    request
}

fn hop_by_hop(criterion: &mut Criterion) {
    let mut inner = NoOp::<()>::new();
    measure(criterion, "no layer", 0, || request(&[]), |request| call(&mut inner, request));
    for (name, more) in MESSAGES {
        let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
        let mut service = HopByHopLayer::new(policy).layer(inner);
        measure(
            criterion,
            &format!("hop_by_hop: {name}"),
            0,
            || request(more),
            |request| call(&mut service, request),
        );
        let mut plain = inner;
        let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
        let extras = policy.remove(HeaderName::from_static("x-debug"));
        let mut service = HopByHopLayer::new(extras).layer(inner);
        measure(
            criterion,
            &format!("hop_by_hop, and one more: {name}"),
            0,
            || request(more),
            |request| call(&mut service, request),
        );
        measure(
            criterion,
            &format!("eight removals: {name}"),
            0,
            || request(more),
            |mut request| {
                for name in &EIGHT {
                    request.headers_mut().remove(name);
                }
                call(&mut plain, request)
            },
        );
    }
}

fn host(criterion: &mut Criterion) {
    let inner = NoOp::<()>::new();
    let forwarded = HeaderName::from_static("x-forwarded-host");
    let internal = HeaderValue::from_static("api.internal");
    let layer = HostStripLayer::new;
    let cases = [
        ("strip", 0, layer(HostPolicy::Strip)),
        ("strip, preserved", 1, layer(HostPolicy::Strip).preserve_as(forwarded)),
        ("set", 0, layer(HostPolicy::Set(internal))),
        ("from the URI", 1, layer(HostPolicy::FromUri)),
    ];
    for (name, allocations, layer) in cases {
        let mut service = layer.layer(inner);
        measure(
            criterion,
            &format!("host: {name}"),
            allocations,
            || request(&[]),
            |request| call(&mut service, request),
        );
    }

    let mut service = ClientHostLayer::new(ClientHost::default()).layer(inner);
    for (name, uri) in [("header", "/items"), ("header and the target", "http://api.example/items")]
    {
        let request = || {
            let mut request = request(&[]);
            *request.uri_mut() = Uri::from_static(uri);
            request
        };
        let name = format!("client_host: judged by the {name}");
        measure(criterion, &name, 0, request, |request| call(&mut service, request));
    }

    // The map of extensions is there already, as hyper's server leaves it.
    let extended = |uri| {
        let mut request = request(&[]);
        *request.uri_mut() = Uri::from_static(uri);
        request.extensions_mut().insert(());
        request
    };
    let mut service = layer(HostPolicy::Strip).remember().layer(inner);
    for (name, allocations, uri) in
        [("target", 1, "http://api.example/items"), ("header", 2, "/items")]
    {
        let name = format!("host: strip, remembered from the {name}");
        measure(
            criterion,
            &name,
            allocations,
            || extended(uri),
            |request| call(&mut service, request),
        );
    }

    let mut service = layer(HostPolicy::FromUri).layer(inner);
    let named = || {
        let mut request = request(&[]);
        request.headers_mut().insert(HOST, HeaderValue::from_static("10.0.0.7:8080"));
        request
    };
    measure(criterion, "host: from the URI, already there", 0, named, |request| {
        call(&mut service, request)
    });
}

criterion_group!(benches, hop_by_hop, host);
criterion_main!(benches);

const MESSAGES: [(&str, &[(&str, &str)]); 4] = [
    ("nothing there", &[]),
    ("keep-alive", &[("connection", "keep-alive")]),
    (
        "two nominated in two lines",
        &[("connection", "x-a"), ("connection", "x-b"), ("x-a", "1"), ("x-b", "2")],
    ),
    ("a websocket", &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]),
];

const SENT: [(&str, &str); 10] = [
    ("host", "api.example"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://app.example/items"),
    ("cookie", "session=3f2a0c9e"),
    ("x-trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("sec-fetch-mode", "navigate"),
    ("priority", "u=0, i"),
];

static EIGHT: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
