use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use crate::body::{Body, Error, Side, find};
use crate::limit::Idle;
use crate::splice::Upload;
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
    /// How it gets to the upstream without being read, if it can.
    upload: Option<Upload>,
    /// Whether a piece of it has come. hyper hands on all it has, so that after that it has nothing.
    begun: bool,
}

impl ClientBody {
    pub(super) fn of(
        request: Request<Incoming>,
        idle: Duration,
        busy: impl FnOnce() -> Busy,
        upload: Option<&Upload>,
    ) -> Request<Body> {
        if request.body().is_end_stream() {
            return request.map(|_| Body::empty());
        }
        let waits = request.headers().contains_key(EXPECT);
        // What comes in frames of HTTP/2, or in chunks, has to be read for that.
        let plain =
            request.version() <= Version::HTTP_11 && request.body().size_hint().exact().is_some();
        let upload = upload.filter(|_| plain).cloned();
        let (idle, busy) = (Idle::new(idle), Some(busy()));
        request.map(|body| {
            Body::new(Self { inner: Some(body), idle, waits, busy, upload, begun: false })
        })
    }

    /// What a piece stands for, if it is not in memory.
    fn exchange(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        self.begun = true;
        let Some(upload) = &self.upload else { return Ok(frame) };
        match frame.into_data() {
            Ok(piece) => {
                let piece = upload.exchange(piece);
                piece.map(Frame::data).map_err(|misplaced| Error::new(Side::Client, misplaced))
            }
            Err(frame) => Ok(frame),
        }
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
        if polled.is_pending()
            && this.begun
            && let Some(upload) = &this.upload
        {
            upload.begin(inner.size_hint().lower());
        }
        let frame = ready!(polled).map(|frame| match frame {
            Ok(frame) => this.exchange(sift(frame)),
            Err(error) => Err(Error::new(side(&error), error)),
        });
        if let Some(Err(_)) | None = frame {
            this.inner = None;
            this.busy = None;
        }
        Poll::Ready(frame)
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
        if let Some(upload) = &self.upload {
            upload.refuse();
        }
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
