//! Of all that may be said of a signature, one thing passes: what the client signed, however it is written.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use portcullis_sigv4_sign::{
    Expires, FixedKeys, PlainBody, SecretKey, ServiceName, SigV4VerifyLayer, Signing, Verifying,
};
use tower_layer::Layer;
use tower_service::Service;

/// The input as an `Authorization`: it passes just if it has the three fields that are right, and nothing else.
pub(crate) fn authorization(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let said = std::str::from_utf8(input).ok().and_then(fields);
    let is_right = input.len() <= 8 * 1024 && said == fields(&AUTHORIZATION);

    let request = Request::get(TARGET)
        .header("x-amz-date", DATE)
        .header("x-amz-content-sha256", UNSIGNED)
        .header("authorization", value);
    let passed = verified(request.body(Nothing).expect("a request"));
    assert_eq!(passed.is_some(), is_right, "{said:?}");
    assert!(passed.is_none_or(|uri| uri == TARGET));
}

/// The fields behind the name of the algorithm, in whatever order they came.
fn fields(text: &str) -> Option<Vec<&str>> {
    let fields = text.strip_prefix("AWS4-HMAC-SHA256 ")?.split(',');
    let mut fields: Vec<_> = fields.map(|field| field.trim_matches(' ')).collect();
    fields.sort_unstable();
    Some(fields)
}

/// The input as a query: it passes just if it has the parameters that are right, and the upstream sees none of them.
pub(crate) fn presigned(input: &[u8]) {
    let Some(query) = std::str::from_utf8(input).ok().filter(|query| !query.contains('#')) else {
        return;
    };
    let Ok(uri) = format!("https://a.example/key?{query}").parse::<Uri>() else { return };
    let said = parameters(query);
    let is_right = said == parameters(PRESIGNED.query().expect("a signed query"));

    let passed = verified(Request::get(uri).body(Nothing).expect("a request"));
    assert_eq!(passed.is_some(), is_right, "{query}");
    if let Some(uri) = passed {
        assert_eq!(uri.path(), "/key");
        assert_eq!(parameters(uri.query().unwrap_or_default()), parameters("versionId=a%2Fb"));
    }
}

/// Names and values, decoded once, in their order. Between two `&` there is none.
fn parameters(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut parameters: Vec<_> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (decoded(name.as_bytes()), decoded(value.as_bytes())))
        .collect();
    parameters.sort_unstable();
    parameters
}

fn decoded(mut text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::new();
    while let [first, rest @ ..] = text {
        let (byte, rest) = match (first, rest) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).expect("a byte"), after),
                _ => (b'%', rest),
            },
            _ => (*first, rest),
        };
        decoded.push(byte);
        text = rest;
    }
    decoded
}

/// The target with which a request comes to the upstream, if it does.
fn verified(request: Request<Nothing>) -> Option<Uri> {
    let mut service = LAYER.layer(Upstream);
    let response = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = response else { panic!("there is nothing to wait for") };
    response.into_body()
}

type Verify = SigV4VerifyLayer<fn() -> Option<Uri>>;

static LAYER: LazyLock<Verify> = LazyLock::new(|| {
    let keys = FixedKeys::new([(KEY, SecretKey::new(SECRET))]);
    let verifying = Verifying::new(ServiceName::new("s3").expect("a service"));
    SigV4VerifyLayer::new(verifying, keys).clock(time).refuse_with(|| None)
});

/// What AWS's own signer makes of the request.
static AUTHORIZATION: LazyLock<String> = LazyLock::new(|| {
    let identity = credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("s3")
        .time(time())
        .settings(SigningSettings::default())
        .build()
        .expect("all that is needed")
        .into();
    let headers = [("x-amz-content-sha256", UNSIGNED)].into_iter();
    let request = SignableRequest::new("GET", TARGET, headers, SignableBody::UnsignedPayload);
    let (instructions, _) =
        sign(request.expect("a request"), &params).expect("a signature").into_parts();
    let mut headers = instructions.headers();
    let (_, value) = headers.find(|(name, _)| *name == "authorization").expect("a signature");
    value.to_owned()
});

static PRESIGNED: LazyLock<Uri> = LazyLock::new(|| {
    let request =
        Request::get("https://a.example/key?versionId=a%2Fb").body(()).expect("a request");
    let region = "eu-west-1".parse().expect("a region");
    let expires = Expires::new(Duration::from_secs(900)).expect("within the limits");
    Signing::new("s3".parse().expect("a service"), region)
        .presign(&request.into_parts().0, &credentials(), time(), expires)
        .expect("a signature")
});

fn credentials() -> Credentials {
    Credentials::new(KEY, SECRET, None, None, "fuzz")
}

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TARGET: &str = "https://a.example/key";
const DATE: &str = "20130524T000000Z";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Says what it was asked for.
#[derive(Clone)]
struct Upstream;

impl Service<Request<PlainBody<Nothing>>> for Upstream {
    type Response = Response<Option<Uri>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<PlainBody<Nothing>>) -> Self::Future {
        ready(Ok(Response::new(Some(request.into_parts().0.uri))))
    }
}

/// A body that has ended.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
