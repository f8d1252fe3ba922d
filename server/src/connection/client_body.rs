use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use crate::body::{Body, Error, Side, find};
use crate::limit::Idle;
use crate::trailers::sift;

use super::pace::Busy;

/// What a client sends, as it comes: it may not be idle for too long.
///
/// When it is dropped before its end, because the request was refused or answered early, the rest is
/// read and thrown away for a while: a connection that closes on unread bytes is reset, and the
/// client could lose the answer with it. A stream of HTTP/2 that ends while the client still sends is
/// no better: curl 7.88 reports a broken stream, and not the answer that came before.
#[derive(Debug)]
pub(super) struct ClientBody {
    /// None once it is dropped or has failed.
    inner: Option<Incoming>,
    idle: Idle,
    /// The client waits to be told to go on, so there is nothing on its way that must be read.
    waits: bool,
    /// A request is not over while its body comes, even if it has been answered.
    busy: Option<Busy>,
}

impl ClientBody {
    pub(super) fn of(
        request: Request<Incoming>,
        idle: Duration,
        busy: impl FnOnce() -> Busy,
    ) -> Request<Body> {
        if request.body().is_end_stream() {
            return request.map(|_| Body::empty());
        }
        let waits = request.headers().contains_key(EXPECT);
        let (idle, busy) = (Idle::new(idle), Some(busy()));
        request.map(|body| Body::new(Self { inner: Some(body), idle, waits, busy }))
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        this.waits = false; // asked for, it comes
        // A piece without bytes is no progress, however many of them come.
        let polled = loop {
            match Pin::new(&mut *inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                polled => break polled,
            }
        };
        if this.idle.is_over(&polled, cx) {
            this.inner = None;
            return Poll::Ready(Some(Err(Error::bare(Side::ClientTimeout))));
        }
        polled.map(|frame| {
            if let Some(Err(_)) | None = frame {
                this.inner = None;
                this.busy = None;
            }
            frame.map(|frame| frame.map(sift).map_err(|error| Error::new(side(&error), error)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        let busy = self.busy.take();
        let rest = self.inner.take().filter(|rest| !self.waits && !rest.is_end_stream());
        // Without a runtime the gateway is gone, and nobody reads an answer any more.
        if let (Some(mut rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(LINGER, async move {
                let _busy = busy;
                while let Some(Ok(_)) = rest.frame().await {}
            }));
        }
    }
}

/// Whether what was sent is no body, or the client is gone.
fn side(error: &hyper::Error) -> Side {
    let kind = find::<io::Error>(error).map(io::Error::kind);
    match kind {
        Some(ErrorKind::InvalidInput | ErrorKind::InvalidData) => Side::Client,
        _ => Side::ClientLeft,
    }
}

/// How long the rest of a body is read that nobody wants.
const LINGER: Duration = Duration::from_secs(5);
