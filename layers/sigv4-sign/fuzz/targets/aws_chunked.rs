//! Any bytes as an `aws-chunked` body, whole and in pieces: nothing panics, a complete body passes only if it is right to
//! its end, and that does not depend on how it came.
//!
//! The first three bytes say how long the body should be, what checksum it should have, and in what pieces it comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use portcullis_sigv4_sign::{AwsChunkedLayer, PlainBody, Unverified};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) fn aws_chunked(input: &[u8]) {
    let &[length, trailer, piece, ref wire @ ..] = input else { return };
    let whole = decode(length, trailer, wire.len().max(1), wire);
    let pieces = decode(length, trailer, usize::from(piece % 64) + 1, wire);

    assert_eq!(whole.1, pieces.1);
    for (data, refused) in [&whole, &pieces] {
        match refused {
            None => assert_eq!(data.len(), usize::from(length)),
            Some(_) => assert!(data.len() < usize::from(length).max(1)),
        }
    }
    if whole.1.is_none() {
        assert_eq!(whole.0, pieces.0);
    }
}

fn decode(length: u8, trailer: u8, piece: usize, wire: &[u8]) -> (Vec<u8>, Option<Unverified>) {
    let mut request = Request::put("/")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", u16::from(length));
    let sums = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];
    if let Some(sum) = sums.get(usize::from(trailer % 8)) {
        request = request.header("x-amz-trailer", format!("x-amz-checksum-{sum}"));
    }
    if trailer >= 128 {
        let signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
        request = request.header("x-amz-content-sha256", signed);
    }
    let frames = Frames(wire.chunks(piece).map(Bytes::copy_from_slice).collect());
    let request = request.body(frames).expect("a request");

    let data = Arc::new(Mutex::new(Vec::new()));
    let mut service = AwsChunkedLayer::new().layer(Reader(Arc::clone(&data)));
    let response = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = response else { panic!("there is nothing to wait for") };
    let data = std::mem::take(&mut *data.lock().expect("one thread"));
    (data, response.extensions().get().copied())
}

/// Reads a body to its end.
#[derive(Clone)]
struct Reader(Arc<Mutex<Vec<u8>>>);

impl Service<Request<PlainBody<Frames>>> for Reader {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<PlainBody<Frames>>) -> Self::Future {
        let mut body = pin!(request.into_body());
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut cx) {
            let data = frame.into_data().expect("no trailers");
            self.0.lock().expect("one thread").extend_from_slice(&data);
        }
        ready(Ok(Response::new(())))
    }
}

struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
    }
}
