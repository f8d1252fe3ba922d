//! Whatever is signed has the signature that AWS's own signer makes of what goes on the wire.
//!
//! The input is text: the service's kind and the method in its first byte, the target in its first line, a header in
//! each further one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use portcullis_sigv4_sign::{AllowedHeaders, Expires, Signing};

pub(crate) fn canonical(input: &[u8]) {
    let Some((kind, text)) = input.split_first() else { return };
    let s3 = kind & 1 == 0;
    let Some(parts) = parts(kind >> 1, text) else { return };
    let Ok(url) = signing(s3).presign(&parts, &credentials(), time(), expires()) else { return };

    let (wire, _) = url
        .query()
        .and_then(|query| query.rsplit_once("X-Amz-Algorithm="))
        .expect("a signed query");
    let wire = wire.trim_end_matches('&');
    // AWS's signer takes bytes in a query that are no UTF-8 for others.
    if decoded(wire).is_none() {
        return;
    }
    let path = url.path();
    let uri = if wire.is_empty() { path.to_owned() } else { format!("{path}?{wire}") };
    let (_, signature) = url.query().and_then(|query| query.rsplit_once('=')).expect("a signature");
    let expected = signature_by_aws(s3, &parts, &format!("https://a.example{uri}"), &url);
    assert_eq!(signature, expected, "{parts:?} {url}");

    // What was settled is settled.
    let mut again = parts;
    again.uri = format!("https://a.example{uri}").parse().expect("a target");
    let second = signing(s3).presign(&again, &credentials(), time(), expires());
    assert_eq!(second.as_ref(), Ok(&url));
}

fn parts(method: u8, text: &[u8]) -> Option<Parts> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let target = std::str::from_utf8(lines.next()?).ok()?;
    let uri: Uri = format!("https://a.example/{target}").parse().ok()?;
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
    let method = methods.into_iter().nth(usize::from(method) % 4)?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name).ok()?;
        // AWS's signer leaves these two out of a URL, where nobody sends them.
        if ["x-amz-user-agent", "x-amz-checksum-mode"].contains(&name.as_str()) {
            return None;
        }
        request = request.header(name, HeaderValue::from_bytes(value.get(1..)?).ok()?);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn signature_by_aws(s3: bool, parts: &Parts, uri: &str, url: &Uri) -> String {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(expires().as_duration());
    if s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = credentials().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(service(s3))
        .time(time())
        .settings(settings)
        .build()
        .expect("all that is needed")
        .into();
    // The same header policy: what we signed.
    let query = url.query().unwrap_or_default();
    let (_, names) = query.rsplit_once("X-Amz-SignedHeaders=").expect("signed headers");
    let names = names.split_once('&').map_or(names, |(names, _)| names);
    let names = decoded(names).expect("names of headers");
    let mut headers = Vec::new();
    for name in names.split(';').filter(|name| *name != "host") {
        for value in parts.headers.get_all(name) {
            let value = value.to_str().expect("what is signed is ASCII");
            // A tab at an end is lost on the way (RFC 9110 §5.5), and AWS's signer keeps it.
            headers.push((name, value.trim_matches([' ', '\t'])));
        }
    }
    let headers = headers.into_iter();
    let body = if s3 { SignableBody::UnsignedPayload } else { SignableBody::Bytes(b"") };
    let request =
        SignableRequest::new(parts.method.as_str(), uri, headers, body).expect("a request");
    sign(request, &params).expect("a signature").signature().to_owned()
}

/// What was escaped; none if it is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        decoded.push(u8::from_str_radix(digits, 16).expect("an escape"));
        decoded.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(decoded).ok()
}

fn signing(s3: bool) -> Signing {
    let allowed = AllowedHeaders::new(["x-amz-*"]).expect("all headers");
    let (service, region) = (service(s3).parse(), "eu-west-1".parse());
    Signing::new(service.expect("a service"), region.expect("a region")).allow(allowed)
}

fn service(s3: bool) -> &'static str {
    if s3 { "s3" } else { "execute-api" }
}

fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "fuzz")
}

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn expires() -> Expires {
    Expires::new(Duration::from_secs(900)).expect("within the limits")
}
