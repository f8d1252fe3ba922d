//! What becomes of bodies.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use portcullis_sigv4_sign::{NotSigned, Payload, SigV4SignLayer, SignedBody, Signing};
use proptest::prelude::*;
use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};

/// A body in frames; it stalls after the last one, or breaks, or ends.
#[derive(Debug)]
struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    end: End,
    size: SizeHint,
}

#[derive(Debug)]
enum End {
    Ends,
    Breaks,
    Stalls,
}

impl Frames {
    fn of(parts: &[&str]) -> Self {
        let frames = parts.iter().map(|part| Frame::data(Bytes::from(part.to_string()))).collect();
        Self { frames, end: End::Ends, size: SizeHint::new() }
    }

    fn then(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    fn sized(mut self, size: u64) -> Self {
        self.size = SizeHint::with_exact(size);
        self
    }

    fn trailers(mut self, name: &'static str) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, "1".parse().unwrap());
        self.frames.push_back(Frame::trailers(trailers));
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match (self.frames.pop_front(), &self.end) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, End::Ends) => Poll::Ready(None),
            (None, End::Breaks) => Poll::Ready(Some(Err("broken"))),
            (None, End::Stalls) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

fn signing(service: &str) -> Signing {
    Signing::new(service.parse().unwrap(), "eu-west-1".parse().unwrap())
}

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Sends `body` to `uri`; the `x-amz-content-sha256` that arrives, and the body as it does.
fn put<B>(
    signing: Signing,
    uri: &str,
    body: B,
) -> Result<(String, SignedBody<B>), (StatusCode, NotSigned)>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let arrived = Arc::new(Mutex::new(None));
    let upstream = service_fn(|request: Request<SignedBody<B>>| {
        let (parts, body) = request.into_parts();
        let hash = parts.headers.get("x-amz-content-sha256");
        let hash = hash.map_or("", |hash| hash.to_str().unwrap()).to_owned();
        *arrived.lock().unwrap() = Some((hash, body));
        async { Ok::<_, Infallible>(Response::new(())) }
    });
    let service = SigV4SignLayer::new(signing, credentials).layer(upstream);
    let request = Request::put(uri).header("host", "a.example").body(body).unwrap();
    let response = assert_ready!(spawn(service.oneshot(request)).poll()).unwrap();
    let arrived = arrived.lock().unwrap().take();
    arrived.ok_or_else(|| (response.status(), *response.extensions().get().unwrap()))
}

const TLS: &str = "https://a.example/k";
const PLAIN: &str = "http://a.example/k";

#[tokio::test]
async fn a_hashed_body_arrives_in_one_frame_with_its_size_and_its_trailers() {
    let body = Frames::of(&["he", "", "llo"]).trailers("x-checksum");
    let (hash, mut body) = put(signing("s3"), TLS, body).unwrap();

    assert_eq!(hash, HELLO);
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert!(!body.is_end_stream());
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["x-checksum"], "1");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[test]
fn a_body_that_is_just_small_enough_is_hashed() {
    let signing = signing("s3").payload(Payload::hash(5));
    let (hash, _) = put(signing.clone(), TLS, Frames::of(&["hello"])).unwrap();
    assert_eq!(hash, HELLO);

    let refused = put(signing, TLS, Frames::of(&["hello", "!"]).then(End::Stalls));
    assert_eq!(refused.unwrap_err(), (StatusCode::PAYLOAD_TOO_LARGE, NotSigned::TooLarge));
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let signing = signing("s3").payload(Payload::hash(5));
    let body = Frames::of(&[]).then(End::Stalls).sized(6);

    let refused = put(signing, TLS, body);
    assert_eq!(refused.unwrap_err(), (StatusCode::PAYLOAD_TOO_LARGE, NotSigned::TooLarge));
}

#[tokio::test]
async fn a_body_found_too_large_goes_on_unsigned_from_its_first_byte() {
    let signing = signing("s3").payload(Payload::hash_or_unsigned(5));
    let body = Frames::of(&["hel", "lo ", "world"]).trailers("x-checksum");
    let (hash, body) = put(signing, TLS, body).unwrap();

    assert_eq!(hash, UNSIGNED);
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (6, None));
    let body = body.collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-checksum"], "1");
    assert_eq!(body.to_bytes(), "hello world");
}

#[test]
fn an_unsigned_body_is_not_waited_for() {
    let unsigned = signing("s3").payload(Payload::Unsigned);
    let body = Frames::of(&["hel"]).then(End::Stalls).sized(5);
    let (hash, body) = put(unsigned, TLS, body).unwrap();
    assert_eq!(hash, UNSIGNED);
    assert_eq!(body.size_hint().exact(), Some(5));

    let body = Frames::of(&["hel"]).then(End::Stalls).sized((1 << 20) + 1);
    let (hash, _) = put(signing("s3"), TLS, body).unwrap();
    assert_eq!(hash, UNSIGNED);
}

#[test]
fn no_body_goes_unsigned_over_plain_http_unless_that_is_allowed() {
    let unsigned = signing("s3").payload(Payload::Unsigned);
    let larger = signing("s3").payload(Payload::hash_or_unsigned(5));

    for uri in [PLAIN, "/k"] {
        let refused = put(unsigned.clone(), uri, Full::from("hello!")).unwrap_err();
        assert_eq!(refused, (StatusCode::INTERNAL_SERVER_ERROR, NotSigned::UnsignedOverHttp));
        let refused = put(larger.clone(), uri, Full::from("hello!")).unwrap_err();
        assert_eq!(refused, (StatusCode::PAYLOAD_TOO_LARGE, NotSigned::TooLarge));
        let refused = put(larger.clone(), uri, Frames::of(&["hello", "!"])).unwrap_err();
        assert_eq!(refused, (StatusCode::PAYLOAD_TOO_LARGE, NotSigned::TooLarge));
    }

    for signing in [unsigned, larger] {
        let (hash, _) = put(signing.clone(), PLAIN, Full::from("")).unwrap();
        assert_eq!(hash, EMPTY);
        let signing = signing.unsigned_over_http();
        let (hash, _) = put(signing, PLAIN, Full::from("hello!")).unwrap();
        assert_eq!(hash, UNSIGNED);
    }
}

#[test]
fn a_body_that_breaks_while_it_is_read_is_refused() {
    let refused = put(signing("s3"), TLS, Frames::of(&["hel"]).then(End::Breaks));

    assert_eq!(refused.unwrap_err(), (StatusCode::BAD_REQUEST, NotSigned::BodyBroken));
}

#[test]
fn only_s3_gets_large_bodies_unsigned_by_default() {
    let large = || Full::from(vec![0; (1 << 20) + 1]);

    let (hash, _) = put(signing("s3express"), TLS, large()).unwrap();
    assert_eq!(hash, UNSIGNED);
    let refused = put(signing("execute-api"), TLS, large()).unwrap_err();
    assert_eq!(refused, (StatusCode::PAYLOAD_TOO_LARGE, NotSigned::TooLarge));
}

#[test]
fn the_hash_is_sent_where_it_is_asked_for() {
    for service in ["s3", "s3express", "s3-outposts", "s3-object-lambda", "aoss", "glacier"] {
        let (hash, _) = put(signing(service), TLS, Full::from("hello")).unwrap();
        assert_eq!(hash, HELLO, "{service}");
    }
    let (hash, _) = put(signing("execute-api"), TLS, Full::from("hello")).unwrap();
    assert_eq!(hash, "");
    let unsigned = signing("vpc-lattice-svcs").payload(Payload::Unsigned);
    let (hash, _) = put(unsigned, TLS, Full::from("hello")).unwrap();
    assert_eq!(hash, UNSIGNED);
}

proptest! {
    #[test]
    fn what_arrives_is_what_was_sent(
        parts in proptest::collection::vec("[a-z]{0,6}", 0..6),
        max in 0_u64..24,
        trailers: bool,
    ) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let whole = parts.concat();
        let body = Frames::of(&parts);
        let body = if trailers { body.trailers("x-t") } else { body };
        let signing = signing("s3").payload(Payload::hash_or_unsigned(max));

        let (hash, body) = put(signing, TLS, body).unwrap();
        let known = body.size_hint();
        let body = assert_ready!(spawn(body.collect()).poll()).unwrap();

        let length = u64::try_from(whole.len()).unwrap();
        prop_assert_eq!(hash == UNSIGNED, length > max);
        prop_assert!(known.lower() <= length);
        prop_assert!(known.upper().is_none_or(|upper| upper == length));
        prop_assert_eq!(body.trailers().is_some(), trailers);
        prop_assert_eq!(body.to_bytes(), whole);
    }
}
