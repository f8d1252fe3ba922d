//! Keys of objects that no file system holds: what a client names is what is sent, and what is signed.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use portcullis_tests::{InProcess, Recorded, Upstream, exchange, gateway};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// As AWS's own signer signs for S3.
fn signed<'a>(
    id: &str,
    time: SystemTime,
    method: &'a str,
    url: String,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &'a [u8],
) -> SigningInstructions {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = Credentials::new(id, format!("the secret of {id}"), None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let request = SignableRequest::new(method, url, headers, SignableBody::Bytes(body)).unwrap();
    sign(request, &params).unwrap().into_parts().0
}

/// What a client that signs sends for this target.
fn request(method: &str, target: &str, body: &'static str) -> String {
    let url = format!("http://gateway.test{target}");
    let time = SystemTime::now();
    let claims = signed("CLIENT", time, method, url, [].into_iter(), body.as_bytes());
    let claims = claims.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: {length}\r\n\
         connection: close\r\n{}\r\n{body}",
        claims.collect::<String>()
    )
}

/// Whether the signature of a request is that of AWS's own signer, for the target that it was sent to.
fn assert_signed(request: &Recorded) {
    let mut line = request.line().split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let authorization = request.header("authorization")[0];
    let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
    let (names, signature) = names.split_once(", Signature=").unwrap();
    let headers = names.split(';').map(|name| (name, request.header(name)[0]));
    let date = request.header("x-amz-date")[0];
    let url = format!("http://{}{target}", request.header("host")[0]);

    let expected = signed("STORAGE", instant(date), method, url, headers, &request.body);
    let expected = expected.headers().find(|(name, _)| *name == "authorization").unwrap().1;
    assert!(expected.ends_with(signature), "{}: {expected} is not {authorization}", request.line());
}

/// The time of `20150830T123600Z`.
fn instant(stamp: &str) -> SystemTime {
    let mut text = stamp.to_owned();
    for (at, separator) in [(13, ":"), (11, ":"), (6, "-"), (4, "-")] {
        text.insert_str(at, separator);
    }
    humantime::parse_rfc3339(&text).unwrap()
}

/// A gateway that signs for `upstream`, and says `more` of its route.
fn signing_for(upstream: &Upstream, more: &str) -> InProcess {
    gateway(&format!(
        "credentials.client = {{ access_key = 'CLIENT', secret_key = 'the secret of CLIENT' }}
         credentials.storage = {{ access_key = 'STORAGE', secret_key = 'the secret of STORAGE' }}
         [upstream.s3]
         replica = [{{ name = 'a', url = 'http://{}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'storage' }}
         [[route]]
         path = '/'
         upstream = 's3'
         {more}",
        upstream.address()
    ))
}

const VERIFYING: &str =
    "sigv4_verify = { service = 's3', regions = ['eu-west-1'], credentials = ['client'] }";

/// As S3 asks for it: all but letters, digits, `-`, `.`, `_`, `~` and the slash is escaped, in upper case.
fn encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(encode).collect()
}

#[tokio::test]
async fn what_a_client_names_is_what_is_sent_and_signed() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = signing_for(&upstream, VERIFYING);
    let long = ["k".repeat(1024), "ü".repeat(512), "/".repeat(1024)];
    let keys = [
        "a b",
        "a+b",
        "100%",
        "a%2Fb",
        "%",
        "ü/é",
        "日本語",
        "🏰",
        "~tilde*",
        "quote'\"<&>",
        "x=1&y=2?z#w",
        "a//b",
        "/",
        "//",
        "/leading",
        "./dot",
        "a/./b",
        ".",
        "a/.",
        "trailing/",
        "trailing//",
        "new\nline",
        "tab\t",
        "back\\slash",
        "...",
        "a/..b",
        "{}|^`",
        "\u{7f}",
    ];
    for key in keys.into_iter().chain(long.iter().map(String::as_str)) {
        let target = format!("/bucket/{}", encoded(key));
        for (method, body) in [("PUT", "an object"), ("GET", ""), ("HEAD", ""), ("DELETE", "")] {
            let response = exchange(gateway.address(), request(method, &target, body)).await;

            assert_eq!(response.status, 200, "{method} {key:?}: {}", response.body);
            let sent = upstream.seen().await;
            assert_eq!(sent.line(), format!("{method} {target} HTTP/1.1"), "{key:?}");
            assert_signed(&sent);
        }
    }
}

#[tokio::test]
async fn what_a_client_spells_otherwise_is_sent_as_it_is_signed() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = signing_for(&upstream, "");
    for (named, expected) in [
        ("/bucket/a+b", "/bucket/a%2Bb"),
        ("/bucket/a*b!'()", "/bucket/a%2Ab%21%27%28%29"),
        ("/bucket/%7Etilde", "/bucket/~tilde"),
        ("/bucket/a%2fb%c3%bc", "/bucket/a/b%C3%BC"),
        ("/bucket/%61//./b/", "/bucket/a//./b/"),
        ("/bucket?prefix=a+b&list-type=2", "/bucket?prefix=a%20b&list-type=2"),
        ("/bucket?uploads", "/bucket?uploads"),
        ("/bucket?a=2&a=1&b&&c=", "/bucket?a=2&a=1&b&c="),
    ] {
        let plain = format!("GET {named} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let response = exchange(gateway.address(), plain).await;

        assert_eq!(response.status, 200, "{named}: {}", response.body);
        let sent = upstream.seen().await;
        assert_eq!(sent.line(), format!("GET {expected} HTTP/1.1"), "{named}");
        assert_signed(&sent);
    }
}
