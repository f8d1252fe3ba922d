//! An id made or kept, put into both messages, beside tower-http's two layers.

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri};
use portcullis_benches::{NoOp, call, measure};
use portcullis_request_id::{Format, RequestIdLayer, RequestIdPolicy, Trust};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_layer::Layer;

fn request() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("/items/7?page=2");
    *request.headers_mut() = HeaderMap::with_capacity(32);
    request
}

fn named() -> Request<()> {
    let mut request = request();
    let id = HeaderValue::from_static("0190b2c4-7f3e-7000-8000-000000000000");
    request.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    request
}

fn request_id(criterion: &mut Criterion) {
    let policy = RequestIdPolicy::new;
    for (name, format) in [
        ("a UUID of version 7", Format::UuidV7),
        ("a UUID of version 4", Format::UuidV4),
        ("a ULID", Format::Ulid),
        ("hexadecimal digits", Format::Hex),
    ] {
        let name = format!("request-id: {name}");
        let mut service = RequestIdLayer::new(policy().format(format)).layer(NoOp::<()>::new());
        measure(criterion, &name, 9, request, |it| call(&mut service, it));
    }
    let mut service = RequestIdLayer::new(policy().trusted(Trust::All)).layer(NoOp::<()>::new());
    measure(criterion, "request-id: kept", 8, named, |it| call(&mut service, it));

    let propagate = PropagateRequestIdLayer::x_request_id();
    let rival = SetRequestIdLayer::x_request_id(MakeRequestUuid);
    let mut service = rival.layer(propagate.layer(NoOp::<()>::new()));
    measure(criterion, "request-id: a UUID of version 4, tower-http", 11, request, |it| {
        call(&mut service, it)
    });
    measure(criterion, "request-id: kept, tower-http", 8, named, |it| call(&mut service, it));
}

criterion_group!(benches, request_id);
criterion_main!(benches);
