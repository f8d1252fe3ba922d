//! Bodies that are signed, or summed, in chunks while they stream by.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use portcullis_sigv4_sign::{
    Checksum, NotSigned, Payload, PayloadSha256, SigV4SignLayer, SignedBody, SignedBodyError,
    Signing, Streaming,
};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::{Layer, ServiceExt, service_fn};

/// A body in frames that says how long it is, and tells how often it was asked for more.
#[derive(Debug)]
struct Frames {
    frames: VecDeque<Poll<Result<Frame<Bytes>, &'static str>>>,
    size: SizeHint,
    asked: Arc<Mutex<usize>>,
}

impl Frames {
    fn of(parts: &[&'static str]) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let frames = parts.iter().map(|part| Poll::Ready(Ok(Frame::data(Bytes::from(*part)))));
        Self {
            frames: frames.collect(),
            size: SizeHint::with_exact(length.try_into().unwrap()),
            asked: Arc::default(),
        }
    }

    fn then(mut self, frame: Poll<Result<Frame<Bytes>, &'static str>>) -> Self {
        self.frames.push_back(frame);
        self
    }

    fn sized(self, size: u64) -> Self {
        Self { size: SizeHint::with_exact(size), ..self }
    }

    fn unsized_(self) -> Self {
        Self { size: SizeHint::new(), ..self }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        *self.asked.lock().unwrap() += 1;
        self.frames.pop_front().map_or(Poll::Ready(None), |frame| frame.map(Some))
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

fn s3(payload: Payload) -> Signing {
    Signing::new("s3".parse().unwrap(), "us-east-1".parse().unwrap()).payload(payload)
}

fn streaming() -> Signing {
    s3(Payload::Streaming(Streaming::signed()))
}

fn put<B>(uri: &str, body: B) -> Request<B> {
    Request::put(uri).header("host", "a.example").body(body).unwrap()
}

fn credentials() -> Credentials {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "test")
}

/// Sends a request; what arrives of it, or why it does not.
fn send<B>(
    signing: Signing,
    request: Request<B>,
) -> Result<Request<SignedBody<B>>, (StatusCode, NotSigned)>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    send_by(SigV4SignLayer::new(signing, credentials()), request)
}

fn send_by<B>(
    layer: SigV4SignLayer,
    request: Request<B>,
) -> Result<Request<SignedBody<B>>, (StatusCode, NotSigned)>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    let arrived = Arc::new(Mutex::new(None));
    let sent = spawn(send_to(Arc::clone(&arrived), layer, request)).poll();
    let response = assert_ready!(sent);
    let arrived = arrived.lock().unwrap().take();
    arrived.ok_or_else(|| (response.status(), *response.extensions().get().unwrap()))
}

async fn send_to<B>(
    arrived: Arc<Mutex<Option<Request<SignedBody<B>>>>>,
    layer: SigV4SignLayer,
    request: Request<B>,
) -> Response<()>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    let upstream = service_fn(|request: Request<SignedBody<B>>| {
        *arrived.lock().unwrap() = Some(request);
        async { Ok::<_, Infallible>(Response::new(())) }
    });
    let layer = layer.clock(|| UNIX_EPOCH + Duration::from_secs(1_369_353_600));
    layer.layer(upstream).oneshot(request).await.unwrap()
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// The text of a body that is at hand, and that ends.
fn whole<B>(body: B) -> String
where
    B: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let body = assert_ready!(spawn(body.collect()).poll()).unwrap();
    assert!(body.trailers().is_none());
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// The data of a body that is at hand, up to its error.
fn broken(mut body: SignedBody<Frames>) -> (String, SignedBodyError<&'static str>) {
    let mut sent = Vec::new();
    loop {
        match assert_ready!(spawn(body.frame()).poll()).unwrap() {
            Ok(frame) => sent.extend(frame.into_data().unwrap()),
            Err(error) => {
                assert!(body.is_end_stream());
                assert!(assert_ready!(spawn(body.frame()).poll()).is_none());
                return (String::from_utf8(sent).unwrap(), error);
            }
        }
    }
}

const TLS: &str = "https://a.example/k";
const PLAIN: &str = "http://a.example/k";
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

#[test]
fn the_published_example_goes_out_as_it_says() {
    let mut request = put("https://s3.amazonaws.com/examplebucket/chunkObject.txt", ());
    request.headers_mut().insert("host", HeaderValue::from_static("s3.amazonaws.com"));
    let storage = HeaderValue::from_static("REDUCED_REDUNDANCY");
    request.headers_mut().insert("x-amz-storage-class", storage);
    let signed = portcullis_sigv4_sign::SignedHeaders::new([header::CONTENT_ENCODING]).unwrap();
    let streaming = Streaming::signed().checksum(Checksum::Crc32c);
    let signing = s3(Payload::Streaming(streaming)).signed_headers(signed);

    let sent = send(signing, request.map(|()| Full::from("a".repeat(66_560)))).unwrap();

    // The headers of the example with a trailer, which signs just these.
    let authorization = text(sent.headers(), "authorization").unwrap();
    assert!(
        authorization.ends_with(
            "SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;\
             x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer, \
             Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
        ),
        "{authorization}"
    );
    let body = whole(sent.into_body());
    assert!(body.starts_with(
        "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    ));
    assert!(body.ends_with(
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\
         \r\n\r\n"
    ));
}

#[test]
fn the_headers_say_what_is_sent() {
    let crc32 = Streaming::signed().checksum(Checksum::Crc32);
    let unsigned = Streaming::unsigned(Checksum::Crc64Nvme);
    let cases = [
        (Streaming::signed(), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None),
        (crc32, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Some("x-amz-checksum-crc32")),
        (unsigned, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", Some("x-amz-checksum-crc64nvme")),
    ];
    for (streaming, name, trailer) in cases {
        let mut request = put(TLS, Frames::of(&["hel", "lo"]));
        request.headers_mut().insert("content-length", 5.into());
        request.headers_mut().insert("transfer-encoding", HeaderValue::from_static("chunked"));
        let sent = send(s3(Payload::Streaming(streaming)), request).unwrap();

        let headers = sent.headers().clone();
        assert_eq!(text(&headers, "x-amz-content-sha256"), Some(name));
        assert_eq!(text(&headers, "x-amz-decoded-content-length"), Some("5"));
        assert_eq!(text(&headers, "x-amz-trailer"), trailer);
        assert_eq!(text(&headers, "content-encoding"), Some("aws-chunked"));
        assert!(!headers.contains_key("transfer-encoding"));
        let authorization = text(&headers, "authorization").unwrap();
        assert!(authorization.contains("x-amz-decoded-content-length"), "{authorization}");
        assert_eq!(authorization.contains("x-amz-trailer"), trailer.is_some());
        let hint = sent.body().size_hint().exact().unwrap().to_string();
        assert_eq!(text(&headers, "content-length"), Some(hint.as_str()));
        let body = whole(sent.into_body());
        assert_eq!(body.len().to_string(), hint);
        assert_eq!(trailer.is_some(), trailer.is_some_and(|trailer| body.contains(trailer)));
    }
}

#[test]
fn the_coding_is_added_to_those_that_stand_there() {
    let mut request = put(TLS, Full::from("hello"));
    for coding in ["gzip", "br"] {
        request.headers_mut().append("content-encoding", HeaderValue::from_static(coding));
    }
    let sent = send(streaming(), request).unwrap();

    let codings: Vec<_> = sent.headers().get_all("content-encoding").iter().collect();
    assert_eq!(codings, ["gzip, br, aws-chunked"]);
}

#[test]
fn an_empty_body_is_signed_as_such() {
    let sent = send(streaming(), put(PLAIN, Full::from(""))).unwrap();

    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(text(sent.headers(), "x-amz-content-sha256"), Some(hash));
    assert!(!sent.headers().contains_key("content-encoding"));
}

#[test]
fn bodies_up_to_a_size_are_hashed_and_larger_ones_stream() {
    let signing = || s3(Payload::hash_or_streaming(5, Streaming::signed()));

    let sent = send(signing(), put(PLAIN, Full::from("hello"))).unwrap();
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(text(sent.headers(), "x-amz-content-sha256"), Some(hash));
    assert!(!sent.headers().contains_key("x-amz-decoded-content-length"));

    let sent = send(signing(), put(PLAIN, Full::from("hello!"))).unwrap();
    assert_eq!(text(sent.headers(), "x-amz-decoded-content-length"), Some("6"));
}

#[test]
fn a_body_of_unknown_length_is_refused_unless_it_may_go_unsigned() {
    let hello = || put(TLS, Frames::of(&["hel", "lo"]).unsized_());
    let refused = Err((StatusCode::LENGTH_REQUIRED, NotSigned::LengthRequired));
    let outcome = |payload, request| {
        let sent = send(s3(payload), request)?;
        Ok(text(sent.headers(), "x-amz-content-sha256").unwrap().to_owned())
    };
    let signed = Streaming::signed();
    let unsigned = signed.unsigned_without_length();

    assert_eq!(outcome(Payload::Streaming(signed), hello()), refused);
    assert_eq!(outcome(Payload::hash_or_streaming(4, signed), hello()), refused);
    let name = Ok("UNSIGNED-PAYLOAD".to_owned());
    assert_eq!(outcome(Payload::Streaming(unsigned), hello()), name);
    assert_eq!(outcome(Payload::hash_or_streaming(4, unsigned), hello()), name);

    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned();
    assert_eq!(outcome(Payload::hash_or_streaming(5, signed), hello()), Ok(hash));

    let over_http = || put(PLAIN, Frames::of(&["hello"]).unsized_());
    assert_eq!(outcome(Payload::Streaming(unsigned), over_http()), refused);
    assert_eq!(outcome(Payload::hash_or_streaming(4, unsigned), over_http()), refused);
}

#[test]
fn an_unsigned_stream_needs_tls_unless_that_is_waived() {
    let unsigned = || s3(Payload::Streaming(Streaming::unsigned(Checksum::Crc32)));

    let refused = send(unsigned(), put(PLAIN, Full::from("hello"))).unwrap_err();
    assert_eq!(refused, (StatusCode::INTERNAL_SERVER_ERROR, NotSigned::UnsignedOverHttp));
    assert!(send(unsigned(), put(TLS, Full::from("hello"))).is_ok());
    assert!(send(unsigned().unsigned_over_http(), put(PLAIN, Full::from("hello"))).is_ok());
    assert!(send(streaming(), put(PLAIN, Full::from("hello"))).is_ok());
}

#[test]
fn a_checksum_that_the_request_has_is_not_joined_by_another() {
    let with = |name: &'static str, streaming| {
        let mut request = put(TLS, Full::from("hello"));
        request.headers_mut().insert(name, HeaderValue::from_static("x"));
        let sent = send(s3(Payload::Streaming(streaming)), request).unwrap();
        let trailer = sent.headers().contains_key("x-amz-trailer");
        (text(sent.headers(), "x-amz-content-sha256").unwrap().to_owned(), trailer)
    };
    let signed = Streaming::signed().checksum(Checksum::Crc32);
    let unsigned = Streaming::unsigned(Checksum::Crc32);

    let alone = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(), false);
    assert_eq!(with("x-amz-checksum-sha256", signed), alone);
    assert_eq!(with("x-amz-checksum-sha256", unsigned), ("UNSIGNED-PAYLOAD".to_owned(), false));
    for name in ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"] {
        assert!(with(name, signed).1, "{name}");
    }
}

#[test]
fn a_hash_that_the_application_knows_is_signed_unread() {
    let body = Frames::of(&["hello"]).unsized_();
    let asked = Arc::clone(&body.asked);
    let mut request = put(PLAIN, body);
    request
        .headers_mut()
        .insert("x-amz-content-sha256", HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    request.extensions_mut().insert(PayloadSha256::new([0xab; 32]));
    let sent = send(streaming(), request).unwrap();

    assert_eq!(text(sent.headers(), "x-amz-content-sha256"), Some("ab".repeat(32).as_str()));
    assert_eq!(*asked.lock().unwrap(), 0);
    assert_eq!(whole(sent.into_body()), "hello");
}

#[test]
fn a_body_is_asked_for_more_only_when_more_is_asked_of_it() {
    let chunk = Streaming::signed().chunk_bytes(8 << 10).unwrap();
    let frames: [&'static str; 2] = ["x".repeat(12 << 10).leak(), "y".repeat(4 << 10).leak()];
    let body = Frames::of(&frames);
    let asked = Arc::clone(&body.asked);
    let sent = send(s3(Payload::Streaming(chunk)), put(TLS, body)).unwrap();
    let mut body = sent.into_body();
    assert_eq!(*asked.lock().unwrap(), 0);

    let mut next = || assert_ready!(spawn(body.frame()).poll()).unwrap().unwrap();
    // A line and a chunk of the first frame, then a line, and what the two frames have of the second chunk.
    let expected = [(1, 87), (1, 8 << 10), (2, 89), (2, 4 << 10), (2, 4 << 10)];
    for (times, size) in expected {
        assert_eq!(next().into_data().unwrap().len(), size);
        assert_eq!(*asked.lock().unwrap(), times);
    }
}

#[test]
fn a_chunk_waits_for_the_rest_of_the_body() {
    let body = Frames::of(&["hel"]).then(Poll::Pending).sized(5);
    let body = body.then(Poll::Ready(Ok(Frame::data(Bytes::from("lo")))));
    let mut body = send(streaming(), put(TLS, body)).unwrap().into_body();

    assert_pending!(spawn(body.frame()).poll());
    let first = assert_ready!(spawn(body.frame()).poll()).unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"5;chunk-signature="));
}

#[test]
fn trailers_of_the_body_are_dropped() {
    let mut trailers = HeaderMap::new();
    trailers.insert(CHECKSUM, HeaderValue::from_static("1"));
    let body = Frames::of(&["hello"]).then(Poll::Ready(Ok(Frame::trailers(trailers))));
    let sent = send(streaming(), put(TLS, body)).unwrap();

    let body = whole(sent.into_body());
    assert!(body.ends_with("\r\n\r\n"), "{body}");
    assert!(!body.contains(CHECKSUM.as_str()), "{body}");
}

#[test]
fn a_body_that_is_not_as_long_as_it_said_breaks_off_before_its_last_chunk() {
    for streaming in [Streaming::signed(), Streaming::unsigned(Checksum::Crc32)] {
        let signing = || s3(Payload::Streaming(streaming));

        let short = send(signing(), put(TLS, Frames::of(&["hello"]).sized(6))).unwrap();
        let (sent, error) = broken(short.into_body());
        assert_eq!(error, SignedBodyError::TooShort);
        assert!(!sent.contains("\r\n0"), "{sent}");

        let long = send(signing(), put(TLS, Frames::of(&["hello", "!"]).sized(5))).unwrap();
        let (sent, error) = broken(long.into_body());
        assert_eq!(error, SignedBodyError::TooLong);
        assert!(!sent.contains("\r\n0") && !sent.contains('!'), "{sent}");
    }
}

#[test]
fn a_body_that_fails_breaks_off_with_its_own_error() {
    let body = Frames::of(&["hel"]).then(Poll::Ready(Err("broken"))).sized(5);
    let sent = send(streaming(), put(TLS, body)).unwrap();

    let (sent, error) = broken(sent.into_body());
    assert_eq!((sent.as_str(), error), ("", SignedBodyError::Inner("broken")));
}

#[test]
fn a_body_that_is_dropped_midway_drops_the_one_inside() {
    let frames = Frames::of(&["hel"]).then(Poll::Pending).sized(5);
    let held = Arc::clone(&frames.asked);
    let mut body = send(streaming(), put(TLS, frames)).unwrap().into_body();
    assert_pending!(spawn(body.frame()).poll());
    assert_eq!(Arc::strong_count(&held), 2);

    drop(body);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn each_attempt_begins_a_chain_of_its_own() {
    let attempt = || {
        let sent = send(streaming(), put(TLS, Full::from("hello"))).unwrap();
        let authorization = text(sent.headers(), "authorization").unwrap().to_owned();
        (authorization, whole(sent.into_body()))
    };

    let first = attempt();
    assert_eq!(attempt(), first);
}

#[tokio::test]
async fn credentials_that_are_asked_for_sign_the_same_chunks() {
    let provider = SharedCredentialsProvider::new(credentials());
    let layer = SigV4SignLayer::new(streaming(), provider);
    let asked = Arc::new(Mutex::new(None));

    send_to(Arc::clone(&asked), layer, put(TLS, Full::from("hello"))).await;
    let asked = asked.lock().unwrap().take().unwrap();
    let held = send(streaming(), put(TLS, Full::from("hello"))).unwrap();
    assert_eq!(asked.headers(), held.headers());
    assert_eq!(whole(asked.into_body()), whole(held.into_body()));
}

#[cfg(feature = "sigv4a")]
#[test]
fn a_signature_that_begins_no_chain_leaves_the_body_unsigned() {
    let regions = portcullis_sigv4_sign::RegionSet::new("*").unwrap();

    let sent = send(streaming().region_set(regions), put(TLS, Full::from("hello"))).unwrap();

    assert_eq!(text(sent.headers(), "x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
    assert_eq!(text(sent.headers(), "content-encoding"), None);
    assert_eq!(whole(sent.into_body()), "hello");
}
