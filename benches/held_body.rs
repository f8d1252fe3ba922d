//! What it costs to hold a value until a body ends: making the body, and reading it to its end.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Full};
use portcullis_benches::{measure, now};
use portcullis_held_body::HeldBody;

fn read(criterion: &mut Criterion) {
    let permit = Arc::new(());
    let body = || Full::new(Bytes::from_static(b"last words"));
    measure(criterion, "held_body/none", 0, body, |mut body| now(body.frame()).unwrap().unwrap());
    measure(criterion, "held_body/held", 0, body, |body| {
        let mut body = HeldBody::new(body, permit.clone());
        let frame = now(body.frame()).unwrap().unwrap();
        assert!(body.held().is_none());
        frame
    });
}

criterion_group!(benches, read);
criterion_main!(benches);
