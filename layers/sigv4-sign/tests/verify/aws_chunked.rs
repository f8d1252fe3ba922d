use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use http_body::Body;
use portcullis_refusal::Refused;
use portcullis_sigv4_sign::{
    AwsChunked, AwsChunkedLayer, PlainBody, PlainBodyError, PlainFuture, Unverified,
};
use proptest::prelude::*;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::frames::{Arrived, Broken, Frames, send};
use crate::wire::{chunked, sha256_line};

fn request(length: usize) -> http::request::Builder {
    Request::put("/key")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", length)
}

/// What arrives of `wire`, which is announced with `length` bytes and the header `trailer`.
async fn decode(
    wire: &[u8],
    length: usize,
    trailer: Option<&str>,
) -> Result<Vec<u8>, (Vec<u8>, Unverified)> {
    let mut request = request(length);
    if let Some(trailer) = trailer {
        request = request.header("x-amz-trailer", trailer);
    }
    let (arrived, refused) =
        send(&AwsChunkedLayer::new(), request.body(Frames::of(wire, 7)).unwrap()).await;
    let Arrived { data, broken, .. } = arrived.expect("a call");
    match refused {
        None => Ok(data),
        Some(refused) => {
            assert!(matches!(broken, Some(PlainBodyError::Unverified(why)) if why == refused));
            Err((data, refused))
        }
    }
}

async fn fault(wire: &[u8], length: usize, trailer: Option<&str>) -> Unverified {
    let (data, fault) = decode(wire, length, trailer).await.unwrap_err();
    assert!(data.len() < length || length == 0, "a complete body passed: {data:?}");
    fault
}

#[tokio::test]
async fn a_decoded_request_has_the_headers_of_its_data() {
    let request = Request::put("/key?x=1")
        .header("content-encoding", "gzip, AWS-chunked")
        .header("content-encoding", "br")
        .header("content-length", "999")
        .header("transfer-encoding", "chunked")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", "9")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("x-amz-sdk-checksum-algorithm", "CRC32")
        .header("x-amz-meta-a", "b");
    let wire = chunked(b"123456789", 4, "x-amz-checksum-crc32:y/Q5Jg==\r\n");

    let (arrived, refused) =
        send(&AwsChunkedLayer::new(), request.body(Frames::of(&wire, 5)).unwrap()).await;

    assert_eq!(refused, None);
    let Arrived { parts, data, .. } = arrived.unwrap();
    assert_eq!(data, b"123456789");
    assert_eq!(parts.uri, "/key?x=1");
    assert_eq!(parts.headers.len(), 3);
    assert_eq!(parts.headers[CONTENT_ENCODING], "gzip, br");
    assert_eq!(parts.headers[CONTENT_LENGTH], "9");
    assert_eq!(parts.headers["x-amz-meta-a"], "b");
}

#[tokio::test]
async fn a_coding_alone_leaves_no_header() {
    let request = request(0).body(Frames::of(b"0\r\n\r\n", 9)).unwrap();

    let (arrived, _) = send(&AwsChunkedLayer::new(), request).await;

    let headers = arrived.unwrap().parts.headers;
    assert!(!headers.contains_key(CONTENT_ENCODING) && !headers.contains_key(TRANSFER_ENCODING));
}

#[tokio::test]
async fn other_requests_pass_as_they_are() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let request = Request::put("/key")
        .header("content-encoding", "gzip")
        .header("x-amz-content-sha256", hash)
        .header("x-amz-trailer", "x-amz-checksum-crc32");
    let body = Frames::new(["3\r\n", "x"]);

    let (arrived, _) = send(&AwsChunkedLayer::new(), request.body(body).unwrap()).await;

    let Arrived { parts, data, .. } = arrived.unwrap();
    assert_eq!(data, b"3\r\nx");
    assert_eq!(parts.headers.len(), 3);
}

#[tokio::test]
async fn signatures_are_dropped_and_not_checked() {
    for mode in ["HMAC-SHA256", "ECDSA-P256-SHA256"] {
        let request = Request::put("/key")
            .header("x-amz-content-sha256", format!("STREAMING-AWS4-{mode}-PAYLOAD-TRAILER"))
            .header("x-amz-decoded-content-length", "3")
            .header("x-amz-trailer", "x-amz-checksum-crc64nvme");
        let wire = "3;chunk-signature=00\r\nabc\r\n0;chunk-signature=11\r\n\
            x-amz-checksum-crc64nvme:BeXKuz/B+us=\r\nx-amz-trailer-signature:22\r\n\r\n";

        let body = Frames::of(wire.as_bytes(), 1000);
        let (arrived, refused) = send(&AwsChunkedLayer::new(), request.body(body).unwrap()).await;

        assert_eq!(refused, None);
        assert_eq!(arrived.unwrap().data, b"abc");
    }
}

#[tokio::test]
async fn each_checksum_is_checked() {
    let known = [
        ("crc32", "y/Q5Jg=="),
        ("crc32c", "4waSgw=="),
        ("crc64nvme", "rosUhgp5mIg="),
        ("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ];
    for (name, value) in known {
        let header = format!("X-Amz-Checksum-{name}");
        let trailer = format!("x-amz-checksum-{name}: {value} \r\n");

        let right = chunked(b"123456789", 4, &trailer);
        assert_eq!(decode(&right, 9, Some(&header)).await.unwrap(), b"123456789", "{name}");

        let wrong = chunked(b"123456780", 4, &trailer);
        assert_eq!(fault(&wrong, 9, Some(&header)).await, Unverified::WrongChecksum, "{name}");
    }
}

#[tokio::test]
async fn lines_of_a_trailer_may_end_in_a_bare_line_feed() {
    let line = sha256_line(b"abc").replace("\r\n", "\n");
    let wire = chunked(b"abc", 3, &(line.clone() + "\r\n"));
    assert_eq!(decode(&wire, 3, Some("x-amz-checksum-sha256")).await.unwrap(), b"abc");

    let request = request(3)
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
        .header("x-amz-trailer", "x-amz-checksum-sha256");
    let wire = chunked(b"abc", 3, &(line + "\r\nx-amz-trailer-signature:00\r\n"));
    let (_, refused) =
        send(&AwsChunkedLayer::new(), request.body(Frames::of(&wire, 9)).unwrap()).await;
    assert_eq!(refused, None);
}

#[tokio::test]
async fn no_more_than_a_line_end_follows_the_trailer() {
    for size in [1, 2, 99] {
        for (tail, refused) in [
            ("", None),
            ("\n", None),
            ("\r\n", None),
            ("\r", Some(Unverified::Incomplete)),
            ("\r\r\n", Some(Unverified::MalformedTrailer)),
            ("\r\n\r\n", Some(Unverified::MalformedTrailer)),
            ("x\n", Some(Unverified::MalformedTrailer)),
        ] {
            let wire = format!("3\r\nabc\r\n0\r\n\r\n{tail}");
            let request = request(3).body(Frames::of(wire.as_bytes(), size)).unwrap();
            assert_eq!(send(&AwsChunkedLayer::new(), request).await.1, refused, "{size} {tail:?}");
        }
    }
}

#[tokio::test]
async fn the_trailer_is_the_one_that_was_announced() {
    let sha256 = Some("x-amz-checksum-sha256");
    let line = sha256_line(b"abc");
    let cases = [
        (String::new(), sha256),
        (line.clone(), None),
        (line.repeat(2), sha256),
        ("x-amz-checksum-crc32:NSRBwg==\r\n".into(), sha256),
        (line.clone() + "x-amz-meta-a:b\r\n", sha256),
        (line.clone() + "x-amz-trailer-signature:00\r\n", sha256),
        ("x-amz-checksum-sha256\r\n".into(), sha256),
        (line + "\r\nmore", sha256),
        (format!("x-amz-checksum-sha256:{}\r\n", "a".repeat(300)), sha256),
    ];
    for (trailer, announced) in cases {
        let wire = chunked(b"abc", 2, &trailer);
        assert_eq!(fault(&wire, 3, announced).await, Unverified::MalformedTrailer, "{trailer}");
    }
}

#[tokio::test]
async fn a_body_has_the_length_that_was_announced() {
    for wire in
        ["", "2", "2\r\nab", "2\r\nab\r\n", "2\r\nab\r\n0\r\n\r\n", "4\r\nabcd\r\n0\r\n\r\n"]
    {
        assert_eq!(fault(wire.as_bytes(), 3, None).await, Unverified::Incomplete, "{wire}");
    }
    for wire in ["3\r\nabc", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"]
    {
        assert_eq!(fault(wire.as_bytes(), 3, None).await, Unverified::Incomplete, "{wire}");
    }
}

#[tokio::test]
async fn chunks_are_framed_exactly() {
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(300));
    for wire in [
        "3\nabc\r\n0\r\n\r\n",
        "\r\n3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "11111111111111113\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        &long,
    ] {
        assert_eq!(fault(wire.as_bytes(), 3, None).await, Unverified::MalformedChunk, "{wire}");
    }
}

#[tokio::test]
async fn what_is_announced_has_to_make_sense() {
    let cases: [(&[(&str, &str)], Unverified); 7] = [
        (&[], Unverified::NoDecodedLength),
        (&[("x-amz-decoded-content-length", "")], Unverified::BadChunkedHeaders),
        (&[("x-amz-decoded-content-length", "+1")], Unverified::BadChunkedHeaders),
        (
            &[("x-amz-decoded-content-length", "18446744073709551616")],
            Unverified::BadChunkedHeaders,
        ),
        (
            &[("x-amz-decoded-content-length", "1"), ("x-amz-decoded-content-length", "1")],
            Unverified::BadChunkedHeaders,
        ),
        (
            &[("x-amz-decoded-content-length", "1"), ("x-amz-trailer", "x-amz-checksum-md5")],
            Unverified::BadChunkedHeaders,
        ),
        (
            &[
                ("x-amz-decoded-content-length", "1"),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
                ("x-amz-trailer", "x-amz-checksum-crc32c"),
            ],
            Unverified::BadChunkedHeaders,
        ),
    ];
    for (headers, reason) in cases {
        let mut request = Request::put("/key").header("content-encoding", "aws-chunked");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (arrived, refused) =
            send(&AwsChunkedLayer::new(), request.body(Frames::default()).unwrap()).await;
        assert!(arrived.is_none());
        assert_eq!(refused, Some(reason), "{headers:?}");
    }
}

#[tokio::test]
async fn the_last_data_is_held_back_until_all_is_checked() {
    let body = Frames::new(["3\r\nabc\r\n2\r\nde\r\n", "0\r\n"]).and_stalled();
    let (mut service, mut upstream) = mock::spawn_layer(AwsChunkedLayer::new());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request(5).body(body).unwrap()));

    let (request, answer) = upstream.next_request().await.unwrap();
    let mut body: task::Spawn<PlainBody<Frames>> = task::spawn(request.into_body());
    assert_eq!(body.size_hint().exact(), Some(5));
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "abc");
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(body.size_hint().exact(), Some(2));
    assert!(!body.is_end_stream());

    answer.send_response(Response::new(()));
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::OK);
}

#[tokio::test]
async fn trailers_of_http_are_dropped_and_errors_are_not() {
    let body = Frames::of(b"1\r\na\r\n0\r\n\r\n", 99).and_trailers();
    let (arrived, refused) = send(&AwsChunkedLayer::new(), request(1).body(body).unwrap()).await;
    assert_eq!((arrived.unwrap().data, refused), (b"a".to_vec(), None));

    let body = Frames::of(b"1\r\na\r\n", 99).and_broken();
    let (arrived, refused) = send(&AwsChunkedLayer::new(), request(1).body(body).unwrap()).await;
    assert!(matches!(arrived.unwrap().broken, Some(PlainBodyError::Inner(Broken))));
    assert_eq!(refused, None);
}

#[tokio::test]
async fn what_the_inner_service_makes_of_a_false_body_is_not_the_answer() {
    let (mut service, mut upstream) = mock::spawn_layer(AwsChunkedLayer::new());
    let body = || Frames::of(b"zz\r\n", 99);
    for answers in [true, false] {
        assert_ready_ok!(service.poll_ready());
        let mut response: task::Spawn<PlainFuture<_, _>> =
            task::spawn(service.call(request(1).body(body()).unwrap()));
        let (request, answer) = upstream.next_request().await.unwrap();
        let mut read: task::Spawn<PlainBody<Frames>> = task::spawn(request.into_body());
        assert_ready_err!(read.enter(|cx, body| body.poll_frame(cx)).map(Option::unwrap));
        if answers {
            answer.send_response(Response::new(()));
        } else {
            answer.send_error("it broke off");
        }

        let response: Response<()> = assert_ready_ok!(response.poll());
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.extensions().get(), Some(&Unverified::MalformedChunk));
    }
}

#[tokio::test]
async fn a_refusal_gives_its_place_back() {
    let limited = ConcurrencyLimit::new(
        service_fn(|_: Request<PlainBody<Frames>>| async {
            Ok::<_, Infallible>(Response::new(()))
        }),
        1,
    );
    let mut service = AwsChunkedLayer::new().layer(limited.clone());

    for _ in 0..3 {
        let bad = Request::put("/").header("content-encoding", "aws-chunked");
        let response = service.ready().await.unwrap().call(bad.body(Frames::default()).unwrap());
        let mut other = limited.clone();
        let other = tokio::time::timeout(Duration::from_secs(1), other.ready());
        assert!(other.await.is_ok(), "a refused request holds a place");
        assert_eq!(response.await.unwrap().status(), StatusCode::LENGTH_REQUIRED);
    }
}

#[tokio::test]
async fn a_refusal_speaks_grpc_and_takes_its_body_from_the_closure() {
    struct NoDefault(&'static str);
    let inner = service_fn(|_: Request<PlainBody<Frames>>| async {
        Ok::<_, Infallible>(Response::new(NoDefault("called")))
    });
    let service = AwsChunkedLayer::new().refuse_with(|| NoDefault("refused")).layer(inner);
    let request = Request::post("/")
        .header("content-encoding", "aws-chunked")
        .header("content-type", "application/grpc");

    let response = service.oneshot(request.body(Frames::default()).unwrap()).await.unwrap();

    assert_eq!(response.headers()["grpc-status"], "2");
    let refused: &Refused = response.extensions().get().unwrap();
    assert_eq!(refused.reason(), "no_decoded_length");
    assert_eq!(response.into_body().0, "refused");
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(AwsChunkedLayer, AwsChunked<()>, PlainBody<()>, PlainBodyError<()>)>();
    check::<(PlainFuture<(), ()>, Unverified)>();
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn any_body_is_decoded_however_it_is_split(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1_usize..80,
        cuts in proptest::collection::vec(0_usize..30, 1..20),
    ) {
        let wire = chunked(&data, size, &sha256_line(&data));
        let mut frames = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle().take(1000) {
            let (frame, after) = rest.split_at((*cut).min(rest.len()));
            frames.push(Bytes::copy_from_slice(frame));
            rest = after;
        }
        frames.push(Bytes::copy_from_slice(rest));
        let request = request(data.len()).header("x-amz-trailer", "x-amz-checksum-sha256");

        let (arrived, refused) = block_on(send(
            &AwsChunkedLayer::new(),
            request.body(Frames::new(frames)).unwrap(),
        ));

        prop_assert_eq!(refused, None);
        prop_assert_eq!(arrived.unwrap().data, data);
    }

    #[test]
    fn a_changed_byte_of_data_never_completes_a_body(
        data in proptest::collection::vec(any::<u8>(), 1..100),
        at: proptest::sample::Index,
        bit in 0_u8..8,
    ) {
        let mut changed = data.clone();
        changed[at.index(data.len())] ^= 1 << bit;
        let wire = chunked(&changed, 30, &sha256_line(&data));

        let (passed, fault) =
            block_on(decode(&wire, data.len(), Some("x-amz-checksum-sha256"))).unwrap_err();

        prop_assert_eq!(fault, Unverified::WrongChecksum);
        prop_assert!(passed.len() < data.len());
    }

    #[test]
    fn no_more_passes_than_was_announced(
        wire in "([0-9a-f]{1,2}(;[a-z=]{0,3})?\r\n[a-z\r\n]{0,12}\r\n|0\r\n|[\\x00-\\x7f]{0,8}){0,6}",
        length in 0_usize..20,
    ) {
        match block_on(decode(wire.as_bytes(), length, None)) {
            Ok(data) => prop_assert_eq!(data.len(), length),
            Err((data, _)) => prop_assert!(data.len() < length.max(1)),
        }
    }
}
