use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::HeaderValue;
use http_body::Body;
use sha2::{Digest, Sha256};

use crate::percent::hex;
use crate::plan::Settled;
use crate::{NotSigned, SignedBody};

/// Reads a body and hashes it, up to a limit.
#[derive(Debug)]
pub(crate) struct Collect<B> {
    body: Option<B>,
    hash: Sha256,
    read: Read,
    limits: Limits,
}

/// How much is read, and what then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_bytes: u64,
    /// Whether a larger body goes unsigned, or why not.
    pub(crate) larger: Result<(), NotSigned>,
}

#[derive(Debug, Default)]
struct Read {
    only: Bytes, // a single frame is kept as it came
    joined: BytesMut,
    bytes: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Collect<B> {
    pub(crate) fn new(body: B, limits: Limits) -> Self {
        Self { body: Some(body), hash: Sha256::new(), read: Read::default(), limits }
    }

    /// The body to send and what is signed for it; not to be polled again after that.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(SignedBody<B>, Settled), NotSigned>> {
        let mut trailers: Option<HeaderMap> = None;
        while let Some(body) = &mut self.body {
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(NotSigned::BodyBroken)),
                None => break,
            };
            match frame.into_data() {
                Ok(data) => {
                    self.hash.update(&data);
                    self.read.push(data);
                }
                Err(frame) => {
                    trailers = frame.into_trailers().ok();
                    break;
                }
            }
            if self.read.bytes > self.limits.max_bytes {
                return Poll::Ready(self.give_up());
            }
        }
        self.body = None;
        let hash = hex(&mem::take(&mut self.hash).finalize().into());
        let hash = HeaderValue::from_bytes(&hash).map_err(|_| NotSigned::BodyBroken)?;
        Poll::Ready(Ok((SignedBody::whole(self.read.take(), trailers), Settled::plain(hash))))
    }

    fn give_up(&mut self) -> Result<(SignedBody<B>, Settled), NotSigned> {
        let rest = self.body.take();
        self.limits.larger?;
        Ok((SignedBody::begun(self.read.take(), rest), Settled::plain(UNSIGNED)))
    }
}

impl Read {
    fn push(&mut self, data: Bytes) {
        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.only.is_empty() && self.joined.is_empty() {
            self.only = data;
        } else {
            self.joined.extend_from_slice(&mem::take(&mut self.only));
            self.joined.extend_from_slice(&data);
        }
    }

    fn take(&mut self) -> Bytes {
        if self.joined.is_empty() {
            mem::take(&mut self.only)
        } else {
            mem::take(&mut self.joined).freeze()
        }
    }
}

/// The SHA-256 of nothing.
pub(crate) const EMPTY: HeaderValue =
    HeaderValue::from_static("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
pub(crate) const UNSIGNED: HeaderValue = HeaderValue::from_static("UNSIGNED-PAYLOAD");
