//! A body of given frames, and a service that reads what arrives.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use portcullis_sigv4_sign::{PlainBody, PlainBodyError, Unverified};
use tower::{Layer, Service, ServiceExt};

/// Frames one after the other; `None` is one that never comes, an error ends the body.
#[derive(Debug, Default)]
pub(crate) struct Frames(pub(crate) VecDeque<Option<Result<Frame<Bytes>, Broken>>>);

#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

impl Frames {
    pub(crate) fn new<T: Into<Bytes>>(frames: impl IntoIterator<Item = T>) -> Self {
        Self(frames.into_iter().map(|data| Some(Ok(Frame::data(data.into())))).collect())
    }

    /// All of `bytes`, in frames of `size`.
    pub(crate) fn of(bytes: &[u8], size: usize) -> Self {
        Self::new(bytes.chunks(size.max(1)).map(Bytes::copy_from_slice))
    }

    pub(crate) fn and_trailers(mut self) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-amz-acl", "public-read".parse().unwrap());
        self.0.push_back(Some(Ok(Frame::trailers(trailers))));
        self
    }

    pub(crate) fn and_stalled(mut self) -> Self {
        self.0.push_back(None);
        self
    }

    pub(crate) fn and_broken(mut self) -> Self {
        self.0.push_back(Some(Err(Broken)));
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(None) = self.0.front() {
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop_front().flatten())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let data = |frame: &Option<Result<Frame<Bytes>, Broken>>| match frame {
            Some(Ok(frame)) => Some(frame.data_ref().map_or(0, Bytes::len)),
            _ => None,
        };
        let length: Option<usize> = self.0.iter().map(data).sum();
        length.map_or_else(SizeHint::new, |length| {
            SizeHint::with_exact(u64::try_from(length).unwrap())
        })
    }
}

/// What the inner service got: all of a request, or as much of its body as passed before it broke off.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) parts: Parts,
    pub(crate) data: Vec<u8>,
    pub(crate) broken: Option<PlainBodyError<Broken>>,
}

/// What arrives below `layer`, and what the client is told if it is refused.
pub(crate) async fn send<L>(
    layer: &L,
    request: Request<Frames>,
) -> (Option<Arrived>, Option<Unverified>)
where
    L: Layer<Reader>,
    L::Service: Service<Request<Frames>, Response = Response<()>, Error = Infallible>,
{
    let arrived = Reader::default();
    let response = layer.layer(arrived.clone()).oneshot(request).await.unwrap();
    let arrived = arrived.0.lock().unwrap().take();
    (arrived, response.extensions().get().copied())
}

/// Reads a request to its end, and keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader(Arc<Mutex<Option<Arrived>>>);

impl Service<Request<PlainBody<Frames>>> for Reader {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<PlainBody<Frames>>) -> Self::Future {
        let kept = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            let mut arrived = Arrived { parts, data: Vec::new(), broken: None };
            let mut hint = body.size_hint();
            while let Some(frame) = body.frame().await {
                match frame.map(Frame::into_data) {
                    Ok(data) => {
                        let data = data.expect("no trailers");
                        assert!(!body.is_end_stream() || body.size_hint().exact() == Some(0));
                        if let Some(exact) = hint.exact() {
                            let rest = body.size_hint().exact().unwrap();
                            assert_eq!(exact - rest, u64::try_from(data.len()).unwrap());
                        }
                        hint = body.size_hint();
                        arrived.data.extend_from_slice(&data);
                    }
                    Err(error) => arrived.broken = Some(error),
                }
            }
            assert!(body.is_end_stream() && body.frame().await.is_none());
            *kept.lock().unwrap() = Some(arrived);
            Ok(Response::new(()))
        })
    }
}
