//! Signing a request, beside aws-sigv4 signing the same; and a body in chunks, beside its SHA-256 alone.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use portcullis_benches::{NoOp, call, measure};
use portcullis_sigv4_sign::{
    Checksum, InvalidName, Payload, Region, ServiceName, SigV4SignLayer, Signing, Streaming,
};
use sha2::{Digest, Sha256};
use tower_layer::Layer;
use tower_service::Service;

/// A request as a browser's to a bucket, in a header map that has room.
fn request(uri: &'static str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(body));
    *request.uri_mut() = Uri::from_static(uri);
    *request.headers_mut() = HeaderMap::with_capacity(32);
    for (name, value) in SENT {
        request
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    request
}

/// What a user of aws-sigv4 writes, with the few headers that are safe to sign.
fn sign_by_aws(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(SERVICE)
        .time(now())
        .settings(settings)
        .build();
    let uri = request.uri().to_string();
    let headers = std::iter::once(("host", HOST));
    let signable =
        SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(b""));
    if let (Ok(params), Ok(signable)) = (params, signable)
        && let Ok(output) = sign(signable, &params.into())
    {
        output.into_parts().0.apply_to_request_http1x(&mut request);
    }
    assert!(request.headers().contains_key("authorization"));
    request
}

fn sigv4_sign(criterion: &mut Criterion) -> Result<(), InvalidName> {
    let inner = NoOp::<()>::new();
    let signing = Signing::new(ServiceName::new(SERVICE)?, Region::new(REGION)?);
    let layer = |signing| SigV4SignLayer::new(signing, credentials()).clock(now);
    let get = || request(PLAIN, b"");

    let mut service = layer(signing.clone()).layer(inner);
    measure(criterion, "sigv4_sign: get", 4, get, |request| call(&mut service, request));
    let mut plain = inner;
    measure(criterion, "aws-sigv4: get", 80, get, |request| call(&mut plain, sign_by_aws(request)));
    measure(
        criterion,
        "sigv4_sign: get, target rewritten",
        7,
        || request(ODD, b""),
        |request| call(&mut service, request),
    );
    measure(
        criterion,
        "sigv4_sign: put, 16 KiB hashed",
        6,
        || request(PLAIN, &[0; 16 << 10]),
        |request| call(&mut service, request),
    );
    let mut service = layer(signing.payload(Payload::Unsigned)).layer(inner);
    measure(
        criterion,
        "sigv4_sign: put, 16 KiB unsigned",
        4,
        || request(PLAIN, &[0; 16 << 10]),
        |request| call(&mut service, request),
    );
    Ok(())
}

/// Hands out what it is sent.
#[derive(Clone, Copy, Debug)]
struct Upstream;

impl<B> Service<Request<B>> for Upstream {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}

/// A body of 4 MiB in frames, from memory that there is already.
#[derive(Debug)]
struct Frames {
    left: usize,
    frame: Bytes,
}

impl Frames {
    fn of(frame: usize) -> Self {
        Self { left: (4 << 20) / frame, frame: Bytes::from_static(&ZEROS).split_to(frame) }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        Poll::Ready(left.map(|_| Ok(Frame::data(self.frame.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left * self.frame.len()).unwrap_or(u64::MAX))
    }
}

/// Shows all data of a body.
fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B, mut show: impl FnMut(&Bytes)) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
        frame.data_ref().into_iter().for_each(&mut show);
    }
}

fn streaming(criterion: &mut Criterion) -> Result<(), InvalidName> {
    let hash = |body: Frames| {
        let mut hash = Sha256::new();
        drain(body, |data| hash.update(data));
        hash.finalize()
    };
    measure(criterion, "sha-256: 4 MiB", 0, || Frames::of(CHUNK), hash);

    let signing = Signing::new(ServiceName::new(SERVICE)?, Region::new(REGION)?);
    // In a chunk: its line, the text to sign, the signature in hex. What is small is copied into blocks, two each.
    let signed = Streaming::signed();
    let (summed, unsigned) = (signed.checksum(CRC), Streaming::unsigned(CRC));
    let cases = [
        ("sigv4_sign: stream 4 MiB", signed, CHUNK, 3 * CHUNKS + 7),
        ("sigv4_sign: stream 4 MiB, in frames of 16 KiB", signed, CHUNK / 4, 3 * CHUNKS + 8),
        ("sigv4_sign: stream 4 MiB, in frames of 1 KiB", signed, CHUNK / 64, 11 * CHUNKS + 8),
        ("sigv4_sign: stream 4 MiB, crc64nvme", summed, CHUNK, 3 * CHUNKS + 13),
        ("sigv4_sign: stream 4 MiB, unsigned", unsigned, CHUNK, CHUNKS + 6),
    ];
    for (name, streaming, frame, allocations) in cases {
        let signing = signing.clone().payload(Payload::Streaming(streaming)).unsigned_over_http();
        let mut service = SigV4SignLayer::new(signing, credentials()).clock(now).layer(Upstream);
        let set_up = || {
            let request = request(PLAIN, b"").map(|_| Frames::of(frame));
            call(&mut service, request).map(Response::into_body)
        };
        measure(criterion, name, allocations, set_up, |body| body.map(|body| drain(body, |_| ())));
    }
    Ok(())
}

fn run(criterion: &mut Criterion) {
    assert!(sigv4_sign(criterion).is_ok());
    assert!(streaming(criterion).is_ok());
}

criterion_group!(benches, run);
criterion_main!(benches);

fn credentials() -> Credentials {
    Credentials::from_keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

const CHUNK: usize = 64 << 10;
const CRC: Checksum = Checksum::Crc64Nvme;
/// Of 4 MiB.
const CHUNKS: u64 = 64;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

const SERVICE: &str = "s3";
const REGION: &str = "eu-west-1";
const HOST: &str = "bucket.s3.eu-west-1.amazonaws.com";
const PLAIN: &str = "https://bucket.s3.eu-west-1.amazonaws.com/photos/2026/cat.jpg";
const ODD: &str = "https://bucket.s3.eu-west-1.amazonaws.com/photos/a+b.jpg?versionId=a+b&acl";

const SENT: [(&str, &str); 6] = [
    ("host", HOST),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://app.example/items"),
];
