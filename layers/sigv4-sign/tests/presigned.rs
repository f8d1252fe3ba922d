//! Signatures in the query.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::{Builder, Parts};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use portcullis_sigv4_sign::{Expires, NotSigned, SigV4SignLayer, SignedBody, Signing};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

fn signing(service: &str) -> Signing {
    Signing::new(service.parse().unwrap(), "us-east-1".parse().unwrap())
}

fn credentials() -> Credentials {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "test")
}

/// Midnight of 24 May 2013.
fn midnight() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

fn parts(request: Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

fn seconds(seconds: u64) -> Expires {
    Expires::new(Duration::from_secs(seconds)).unwrap()
}

/// What arrives when `request` is sent with this body.
async fn send(
    signing: Signing,
    request: Builder,
    body: &'static str,
) -> Result<Parts, (StatusCode, NotSigned)> {
    let layer = SigV4SignLayer::new(signing, credentials()).clock(midnight);
    let service = layer.layer(service_fn(|request: Request<SignedBody<Full<Bytes>>>| async {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.into_parts().0);
        Ok::<_, Infallible>(response)
    }));
    let request = request.body(Full::from(body)).unwrap();
    let mut response = service.oneshot(request).await.unwrap();
    let sent = response.extensions_mut().remove();
    sent.ok_or_else(|| (response.status(), *response.extensions().get().unwrap()))
}

/// The example of "Authenticating Requests: Using Query Parameters" in the documentation of S3.
const DOCUMENTED: &str = "https://examplebucket.s3.amazonaws.com/test.txt\
    ?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

const OBJECT: &str = "https://examplebucket.s3.amazonaws.com/test.txt";

#[test]
fn a_url_is_presigned_as_documented() {
    // Who uses a URL sends its authority.
    let parts = parts(Request::get(OBJECT).header(HOST, "another.example"));
    let url = signing("s3").presign(&parts, &credentials(), midnight(), seconds(86_400));

    assert_eq!(url.unwrap(), DOCUMENTED);
}

#[tokio::test]
async fn a_layer_presigns_as_documented() {
    let request = Request::get(OBJECT)
        .header(AUTHORIZATION, "theirs")
        .header("x-amz-date", "theirs")
        .header("x-amz-content-sha256", "theirs");
    let sent = send(signing("s3").presigned(seconds(86_400)), request, "").await.unwrap();

    assert_eq!(sent.uri, DOCUMENTED);
    assert_eq!(sent.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), [HOST]);
}

#[tokio::test]
async fn a_presigned_body_of_s3_goes_unsigned_over_tls_alone() {
    let presigned = signing("s3").presigned(Expires::MAX);
    let put = |scheme: &str| Request::put(format!("{scheme}://a.example/k"));

    let sent = send(presigned.clone(), put("https"), "hello").await.unwrap();
    assert!(!sent.headers.contains_key("x-amz-content-sha256"));
    for body in ["", "hello"] {
        let refused = send(presigned.clone(), put("http"), body).await.unwrap_err();
        assert_eq!(refused, (StatusCode::INTERNAL_SERVER_ERROR, NotSigned::UnsignedOverHttp));
    }
    assert!(send(presigned.unsigned_over_http(), put("http"), "hello").await.is_ok());
}

#[test]
fn a_url_needs_an_authority_and_credentials_that_last() {
    let presign = |uri, credentials: &Credentials| {
        signing("s3").presign(&parts(Request::get(uri)), credentials, midnight(), Expires::MAX)
    };
    let expired = Credentials::new("id", "secret", None, Some(midnight()), "test");

    assert_eq!(presign("/k", &credentials()), Err(NotSigned::NoHost));
    let none = NotSigned::NoCredentials { retry_after: Duration::ZERO };
    assert_eq!(presign(OBJECT, &expired), Err(none));
    assert_eq!(presign("https://a/%", &credentials()), Err(NotSigned::BadTarget));
}

#[test]
fn a_target_without_room_for_a_signature_is_refused() {
    let uri = format!("https://a.example/{}", "k".repeat(65_400));
    let parts = parts(Request::get(uri));

    let refused = signing("s3").presign(&parts, &credentials(), midnight(), Expires::MAX);
    assert_eq!(refused, Err(NotSigned::BadTarget));
}

/// The signature that AWS's signer makes for a URL that was presigned here.
fn signature_by_aws(service: &str, token: Option<&str>, parts: &Parts, url: &Uri) -> String {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(900));
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let mine = credentials();
    let (id, secret) = (mine.access_key_id(), mine.secret_access_key());
    let identity = Credentials::new(id, secret, token.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(midnight())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let body =
        if service == "s3" { SignableBody::UnsignedPayload } else { SignableBody::Bytes(b"") };
    let (before, _) = url
        .to_string()
        .split_once("X-Amz-Algorithm")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let uri = before.trim_end_matches(['?', '&']).to_owned();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let request = SignableRequest::new(parts.method.as_str(), uri, headers, body).unwrap();
    sign(request, &params).unwrap().signature().to_owned()
}

proptest! {
    #[test]
    fn any_url_has_the_signature_that_aws_makes(
        s3: bool,
        token in proptest::option::of("[A-Za-z0-9/+=]{1,20}"),
        path in "([a-z0-9/.+~@]|%[2-7][0-9a-f]){0,20}",
        query in proptest::option::of("[a-wyz]([a-z=&+]|%[2-7][0-9A-F]){0,16}"),
        content_type in proptest::option::of("[a-z/]{1,9}"),
    ) {
        let service = if s3 { "s3" } else { "execute-api" };
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let mut request = Request::get(format!("https://a.example:81/{path}{query}"));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let parts = parts(request);
        let secret = credentials();
        let (id, secret) = (secret.access_key_id(), secret.secret_access_key());
        let credentials = Credentials::new(id, secret, token.clone(), None, "test");

        let url = signing(service).presign(&parts, &credentials, midnight(), seconds(900)).unwrap();

        let expected = signature_by_aws(service, token.as_deref(), &parts, &url);
        let (_, signature) = url.query().unwrap().rsplit_once("X-Amz-Signature=").unwrap();
        prop_assert_eq!(signature, expected);
    }
}
