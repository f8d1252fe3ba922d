//! Signatures of Version 4A, beside those of AWS's own signer.
#![cfg(feature = "sigv4a")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4a;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use portcullis_sigv4_sign::{Expires, SigV4SignLayer, SignedBody, Signing};
use tower::{Layer, ServiceExt, service_fn};

/// An S3 Multi-Region Access Point.
const OBJECT: &str = "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/a//b%2Bc?x=1";

fn signing() -> Signing {
    Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap())
        .region_set("*".parse().unwrap())
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn credentials(token: Option<&str>) -> Credentials {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
}

async fn send(credentials: Credentials, body: &'static str) -> Parts {
    let layer = SigV4SignLayer::new(signing(), credentials).clock(now);
    let service = layer.layer(service_fn(|request: Request<SignedBody<Full<Bytes>>>| async {
        let mut response = Response::new(());
        response.extensions_mut().insert(request.into_parts().0);
        Ok::<_, Infallible>(response)
    }));
    let request = Request::put(OBJECT).header("x-amz-region-set", "theirs").body(Full::from(body));
    let mut response = service.oneshot(request.unwrap()).await.unwrap();
    response.extensions_mut().remove().unwrap()
}

/// The signature that AWS's signer makes.
fn signature_by_aws(
    method: &str,
    body: SignableBody<'_>,
    token: Option<&str>,
    query: bool,
) -> String {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    if query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(900));
    } else {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = credentials(token).into();
    let params = v4a::SigningParams::builder()
        .identity(&identity)
        .region_set("*")
        .name("s3")
        .time(now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let request = SignableRequest::new(method, OBJECT, [].into_iter(), body).unwrap();
    sign(request, &params).unwrap().signature().to_owned()
}

#[tokio::test]
async fn a_request_has_the_signature_that_aws_makes() {
    for token in [None, Some("token")] {
        for body in ["", "hello"] {
            let sent = send(credentials(token), body).await;

            assert_eq!(sent.headers["x-amz-region-set"], "*");
            let signature =
                signature_by_aws("PUT", SignableBody::Bytes(body.as_bytes()), token, false);
            let token = if token.is_some() { ";x-amz-security-token" } else { "" };
            assert_eq!(
                sent.headers[AUTHORIZATION],
                format!(
                    "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20150830/s3/aws4_request, \
                     SignedHeaders={HOST};x-amz-content-sha256;x-amz-date;x-amz-region-set{token}, \
                     Signature={signature}"
                )
            );
        }
    }
}

#[test]
fn a_url_has_the_signature_that_aws_makes() {
    let expires = Expires::new(Duration::from_secs(900)).unwrap();
    let (parts, ()) = Request::get(OBJECT).body(()).unwrap().into_parts();
    for token in [None, Some("token")] {
        let url = signing().presign(&parts, &credentials(token), now(), expires).unwrap();

        let query = url.query().unwrap();
        assert!(query.contains("&X-Amz-Region-Set=%2A&"), "{query}");
        let (_, signature) = query.rsplit_once("X-Amz-Signature=").unwrap();
        assert_eq!(signature, signature_by_aws("GET", SignableBody::UnsignedPayload, token, true));
    }
}
