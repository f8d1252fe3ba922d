//! Signatures as AWS documents them, and as its own signer makes them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, RANGE};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis_sigv4_sign::{NotSigned, SigV4SignLayer, SignedBody, SignedHeaders, Signing};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

type Sent = (Parts, Bytes);

fn signing(service: &str, region: &str) -> Signing {
    Signing::new(service.parse().unwrap(), region.parse().unwrap())
}

/// What arrives at the service when `request` is sent through `layer`.
async fn sent(layer: SigV4SignLayer, request: Request<Full<Bytes>>) -> Result<Sent, NotSigned> {
    let service = layer.layer(service_fn(|request: Request<SignedBody<Full<Bytes>>>| async {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut response = Response::new(());
        response.extensions_mut().insert((parts, body));
        Ok::<_, Infallible>(response)
    }));
    let mut response = service.oneshot(request).await.unwrap();
    match response.extensions_mut().remove::<Sent>() {
        Some(sent) => Ok(sent),
        None => Err(*response.extensions().get().expect("a reason")),
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The examples of "Authenticating Requests: Using the Authorization Header" in the documentation of S3.
mod s3_documentation {
    use super::*;

    async fn check(request: http::request::Builder, body: &'static str, authorization: &str) {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "test");
        let headers = SignedHeaders::new([DATE, RANGE]).unwrap();
        let signing = signing("s3", "us-east-1").signed_headers(headers);
        let layer = SigV4SignLayer::new(signing, credentials)
            .clock(|| UNIX_EPOCH + Duration::from_secs(1_369_353_600));

        let (parts, _) = sent(layer, request.body(Full::from(body)).unwrap()).await.unwrap();

        assert_eq!(
            parts.headers[AUTHORIZATION],
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 {authorization}"
            )
        );
    }

    #[tokio::test]
    async fn get_object() {
        let request = Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
            .header(RANGE, "bytes=0-9");
        let authorization = "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        check(request, "", authorization).await;
    }

    #[tokio::test]
    async fn put_object() {
        let request = Request::put("https://examplebucket.s3.amazonaws.com/test$file.text")
            .header(DATE, "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
        let authorization = "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, \
            Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        check(request, "Welcome to Amazon S3.", authorization).await;
    }

    #[tokio::test]
    async fn get_bucket_lifecycle() {
        let request = Request::get("https://examplebucket.s3.amazonaws.com/?lifecycle");
        let authorization = "SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
            Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        check(request, "", authorization).await;
    }

    #[tokio::test]
    async fn list_objects() {
        let request = Request::get("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J");
        let authorization = "SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
            Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        check(request, "", authorization).await;
    }
}

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

/// What AWS's signer makes of a request that was signed here: the same headers, the same URI.
fn authorization_by_aws(service: &str, token: Option<&str>, (parts, body): &Sent) -> String {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = Credentials::new(ID, SECRET, token.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(service)
        .time(now())
        .settings(settings)
        .build()
        .unwrap()
        .into();

    let authorization = parts.headers[AUTHORIZATION].to_str().unwrap();
    let names = authorization.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0;
    let headers = names.split(';').flat_map(|name| {
        parts.headers.get_all(name).iter().map(move |value| (name, value.to_str().unwrap()))
    });
    let uri = parts.uri.to_string();
    let request =
        SignableRequest::new(parts.method.as_str(), uri, headers, SignableBody::Bytes(body))
            .unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (headers, _) = instructions.into_parts();
    headers.iter().find(|header| header.name() == "authorization").unwrap().value().to_owned()
}

/// A character of a path or a query: plain, escaped in either case, or escaped without need.
fn character() -> impl Strategy<Value = String> {
    let escaped =
        |text: String| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    prop_oneof![
        4 => "[a-z0-9._~/-]",
        2 => "[!$&'()*+,;=:@|{}é]",
        1 => "\\PC".prop_map(move |text| escaped(text).to_uppercase()),
        1 => "[a-z %/+é\n]".prop_map(escaped),
    ]
}

fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(character(), 0..most).prop_map(|characters| characters.concat())
}

fn header() -> impl Strategy<Value = (HeaderName, String)> {
    let name = prop_oneof![
        Just(CONTENT_TYPE),
        Just(RANGE),
        Just(HeaderName::from_static("cookie")),
        "x-amz-meta-[a-z]{1,2}".prop_map(|name| name.parse().unwrap()),
        "x-[b-z]{1,2}".prop_map(|name| name.parse().unwrap()),
    ];
    (name, "[ -~]{0,12}")
}

proptest! {
    #[test]
    fn any_request_has_the_signature_that_aws_makes(
        s3: bool,
        token in proptest::option::of("[A-Za-z0-9/+=]{1,20}"),
        method in prop_oneof![Just("GET"), Just("HEAD"), Just("PUT"), Just("DELETE")],
        path in text(12),
        query in proptest::option::of(text(12)),
        headers in proptest::collection::vec(header(), 0..6),
        body in "\\PC{0,40}",
    ) {
        let service = if s3 { "s3" } else { "execute-api" };
        let credentials = Credentials::new(ID, SECRET, token.clone(), None, "test");
        let signed_headers = SignedHeaders::new([RANGE]).unwrap();
        let signing = signing(service, "eu-west-1").signed_headers(signed_headers);
        let layer = SigV4SignLayer::new(signing, credentials).clock(now);
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let mut request = Request::builder().method(method).uri(format!("https://a.example:81/{path}{query}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }

        let sent = block_on(sent(layer, request.body(Full::from(body.clone())).unwrap())).unwrap();

        prop_assert_eq!(&sent.1, &body);
        let authorization = authorization_by_aws(service, token.as_deref(), &sent);
        prop_assert_eq!(&sent.0.headers[AUTHORIZATION], &authorization);
    }
}
