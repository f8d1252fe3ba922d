//! What it takes to verify a request, and to take an `aws-chunked` body apart, beside the hash that this cannot go without.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use portcullis_benches::{NoOp, call, measure};
use portcullis_sigv4_sign::{
    AwsChunkedLayer, FixedKeys, PlainBody, SecretKey, ServiceName, SigV4VerifyLayer, Verifying,
};
use sha2::{Digest, Sha256};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

/// A body as it comes from the network.
struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// Signs a request by aws-sigv4, and makes its chunks; without a size of chunks it has no body.
fn signed(hash: &str, data: &[u8], chunk: Option<usize>) -> (Request<()>, Vec<Bytes>) {
    let mut request = Request::put(format!("https://{HOST}/photos/2026/cat.jpg?x-id=PutObject"))
        .header("host", HOST)
        .header("user-agent", "aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0")
        .header("accept", "*/*")
        .header("accept-encoding", "identity")
        .extension("a server's")
        .body(())
        .unwrap();
    if chunk.is_some() {
        request.headers_mut().insert("x-amz-decoded-content-length", data.len().into());
    }
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = Credentials::from_keys(ID, SECRET, None).into();
    let of_request = v4::SigningParams::builder().settings(settings);
    let of_chunks = v4::SigningParams::builder().settings(());
    let of_request =
        of_request.identity(&identity).region(REGION).name("s3").time(time()).build().unwrap();
    let of_chunks =
        of_chunks.identity(&identity).region(REGION).name("s3").time(time()).build().unwrap();

    let headers = request.headers().iter().filter(|(name, _)| !name.as_str().starts_with("a"));
    let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let uri = request.uri().to_string();
    let body = SignableBody::Precomputed(hash.to_owned());
    let signable = SignableRequest::new("PUT", uri, headers, body).unwrap();
    let (instructions, mut previous) = sign(signable, &of_request.into()).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);

    let mut wire = Vec::new();
    let chunks = chunk.into_iter().flat_map(|size| data.chunks(size).chain([&b""[..]]));
    for chunk in chunks {
        previous = v4::sign_chunk(&Bytes::copy_from_slice(chunk), &previous, &of_chunks)
            .unwrap()
            .into_parts()
            .1;
        wire.extend_from_slice(
            format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes(),
        );
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    (request, wire.chunks(FRAME).map(Bytes::copy_from_slice).collect())
}

fn with_body(request: &Request<()>, frames: &[Bytes]) -> Request<Frames> {
    request.clone().map(|()| Frames(frames.iter().cloned().collect()))
}

fn layer() -> SigV4VerifyLayer {
    let keys = FixedKeys::new([(ID, SecretKey::new(SECRET))]);
    SigV4VerifyLayer::new(Verifying::new(ServiceName::new("s3").unwrap()), keys).clock(time)
}

fn heads(criterion: &mut Criterion) {
    let (request, frames) = signed(EMPTY, b"", None);
    let mut service = layer().layer(NoOp::<()>::new());
    let ok = |response: Result<Response<()>, Infallible>| {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    };
    let good = || with_body(&request, &frames);
    measure(criterion, "sigv4_verify: header", 6, good, |request| {
        ok(call(&mut service, request));
    });

    let mut forged = request.clone();
    forged.headers_mut().insert("x-amz-date", "20150830T123601Z".parse().unwrap());
    let forged = || with_body(&forged, &frames);
    measure(criterion, "sigv4_verify: forged", 8, forged, |request| {
        assert_eq!(call(&mut service, request).unwrap().status(), StatusCode::FORBIDDEN);
    });
}

/// A service that reads a body to its end, and tells its length.
fn reader()
-> impl Service<Request<PlainBody<Frames>>, Response = Response<()>, Error = Infallible, Future: Send>
+ Clone {
    service_fn(|request: Request<PlainBody<Frames>>| {
        let mut body = pin!(request.into_body());
        let mut length = 0;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
            length += black_box(frame.unwrap().into_data().unwrap()).len();
        }
        assert_eq!(length, SIZE);
        std::future::ready(Ok(Response::new(())))
    })
}

fn bodies(criterion: &mut Criterion) {
    let data: Vec<u8> = (0_u8..=250).cycle().take(SIZE).collect();
    let mut group = criterion.benchmark_group("sigv4_verify: 16 MiB");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);

    group.bench_function("sha256 alone", |bencher| {
        bencher.iter(|| Sha256::digest(black_box(&data)));
    });

    let plain: Vec<_> = data.chunks(FRAME).map(Bytes::copy_from_slice).collect();
    let hash: String = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    let (hashed, _) = signed(&hash, b"", None);
    let (chunked, wire) = signed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &data, Some(64 << 10));
    for (name, request, frames) in [("hashed", &hashed, &plain), ("signed chunks", &chunked, &wire)]
    {
        let mut service = layer().layer(reader());
        group.bench_function(name, |bencher| {
            bencher.iter(|| call(&mut service, with_body(request, frames)).unwrap());
        });
    }
    let mut service = AwsChunkedLayer::new().layer(reader());
    group.bench_function("decoded alone", |bencher| {
        bencher.iter(|| call(&mut service, with_body(&chunked, &wire)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, heads, bodies);
criterion_main!(benches);

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-west-1";
const HOST: &str = "bucket.s3.eu-west-1.amazonaws.com";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const FRAME: usize = 16 << 10;
const SIZE: usize = 16 << 20;
