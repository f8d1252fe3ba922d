//! Signing a request, beside aws-sigv4 signing the same.

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
use http::{Request, Uri};
use http_body_util::Full;
use portcullis_benches::{NoOp, call, measure};
use portcullis_sigv4_sign::{InvalidName, Payload, Region, ServiceName, SigV4SignLayer, Signing};
use tower_layer::Layer;

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

fn run(criterion: &mut Criterion) {
    assert!(sigv4_sign(criterion).is_ok());
}

criterion_group!(benches, run);
criterion_main!(benches);

fn credentials() -> Credentials {
    Credentials::from_keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

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
