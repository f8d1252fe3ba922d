//! What a refusal costs, in either dialect: the extensions are allocated, and for gRPC the headers.
use criterion::{Criterion, criterion_group, criterion_main};
use http::StatusCode;
use portcullis_benches::measure;
use portcullis_refusal::{Dialect, Refusal};

fn refuse(criterion: &mut Criterion) {
    let refusal = || Refusal::new(StatusCode::FORBIDDEN, "not_yours", "the token is for another");
    let respond = |dialect| move |refusal: Refusal| refusal.into_response(dialect, ());
    measure(criterion, "refusal/http", 3, refusal, respond(Dialect::Http));
    measure(criterion, "refusal/grpc", 8, refusal, respond(Dialect::Grpc));
}

criterion_group!(benches, refuse);
criterion_main!(benches);
