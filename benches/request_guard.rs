//! Checking a request and counting its body, beside tower-http's body limit.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use portcullis_benches::{NoOp, call, measure, now};
use portcullis_request_guard::{Paths, Policy, RequestGuardLayer, Treatment};
use tower_http::limit::RequestBodyLimitLayer;
use tower_layer::Layer;
use tower_service::Service;

/// Four chunks of a kibibyte, of known or unknown size.
#[derive(Clone, Copy)]
struct Chunks {
    left: u64,
    known: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        Poll::Ready(more.then(|| Ok(Frame::data(Bytes::from_static(CHUNK)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.known { SizeHint::with_exact(self.left << 10) } else { SizeHint::default() }
    }
}

/// Reads the request to its end, and answers.
#[derive(Clone, Copy)]
struct Read;

impl<B: Body + Unpin> Service<Request<B>> for Read {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut body = request.into_body();
        while let Some(frame) = now(body.frame()) {
            black_box(frame.is_ok());
        }
        ready(Ok(Response::default()))
    }
}

fn request(known: bool) -> Request<Chunks> {
    let mut request = Request::new(Chunks { left: 4, known });
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    *request.headers_mut() = HeaderMap::with_capacity(32);
    for (name, value) in SENT {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

/// A request with a body of JSON.
fn json(uri: Uri) -> Request<Chunks> {
    let mut request = request(true);
    *request.uri_mut() = uri;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

#[expect(clippy::expect_used, reason = "the policies are constants")]
fn request_guard(criterion: &mut Criterion) {
    let ceilings = Policy::ceilings().max_body(64 << 10);
    let rival = RequestBodyLimitLayer::new(64 << 10);
    let nothing = NoOp::<Empty<Bytes>>::new();

    let mut service = RequestGuardLayer::new(Policy::ceilings()).layer(nothing);
    measure(
        criterion,
        "request_guard: any body, not read",
        0,
        || request(false),
        |request| call(&mut service, request),
    );
    let policy = Policy::ceilings()
        .hosts(["*.example".parse().expect("a host")])
        .methods([Method::POST, Method::GET])
        .headers([HeaderName::from_static("x-trace")])
        .content_types(["application/json".parse().expect("a type")])
        .paths(Paths::strict());
    let mut service = RequestGuardLayer::new(policy).layer(nothing);
    measure(
        criterion,
        "request_guard: every policy, nothing odd",
        0,
        || json(Uri::from_static("/items/7?page=2")),
        |request| call(&mut service, request),
    );
    measure(
        criterion,
        "request_guard: every policy, a path with an encoding",
        1,
        || json(Uri::from_static("/items/caf%C3%A9/7?page=2")),
        |request| call(&mut service, request),
    );
    for (name, paths, path, allocations) in PATHS {
        let name = format!("request_guard: a path {name}");
        measure(criterion, &name, allocations, || path, |path| paths.judge(path).is_ok());
    }

    let mut service = RequestGuardLayer::new(ceilings.clone()).layer(nothing);
    measure(
        criterion,
        "request_guard: a body of known size, not read",
        0,
        || request(true),
        |request| call(&mut service, request),
    );
    measure(
        criterion,
        "request_guard: a body of unknown size, not read",
        1,
        || request(false),
        |request| call(&mut service, request),
    );
    let mut limit = rival.layer(nothing);
    measure(
        criterion,
        "tower-http limit: a body of unknown size, not read",
        0,
        || request(false),
        |request| call(&mut limit, request),
    );

    for (known, size, allocations) in [(true, "known", 0), (false, "unknown", 1)] {
        let mut service = Read;
        let name = format!("no layer: four chunks of {size} size, read");
        measure(criterion, &name, 0, || request(known), |request| call(&mut service, request));
        let mut service = RequestGuardLayer::new(ceilings.clone()).layer(Read);
        let name = format!("request_guard: four chunks of {size} size, read");
        measure(
            criterion,
            &name,
            allocations,
            || request(known),
            |request| call(&mut service, request),
        );
        let mut service = rival.layer(Read);
        let name = format!("tower-http limit: four chunks of {size} size, read");
        measure(criterion, &name, 0, || request(known), |request| call(&mut service, request));
    }
}

criterion_group!(benches, request_guard);
criterion_main!(benches);

const PATHS: [(&str, Paths, &str, u64); 4] = [
    ("as it should be", Paths::strict(), "/photos/2014/01/portrait.jpeg", 0),
    ("with an encoding", Paths::strict(), "/photos/2014/caf%C3%A9/portrait%20one.jpeg", 1),
    ("with a traversal", Paths::new(), "/photos/2014/..%2f..%2fetc/passwd", 1),
    ("without what is odd", NORMALISED, "/photos//2014/01/../01/portrait.jpeg", 2),
];

const NORMALISED: Paths =
    Paths::new().parent_segments(Treatment::Normalise).empty_segments(Treatment::Normalise);

const CHUNK: &[u8] = &[0; 1024];

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
