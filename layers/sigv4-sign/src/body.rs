use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a signed request: the one that came, or the bytes that were read of it to be hashed.
    ///
    /// A hashed body is one frame of data, and its trailers if it had any; its size is known. A body that was found too
    /// large while it was read, and goes unsigned, begins with what was read. All else passes through as it is.
    #[derive(Clone, Debug)]
    pub struct SignedBody<B> {
        read: Option<Bytes>,
        #[pin]
        rest: Option<B>, // none once it was read to its end
        trailers: Option<HeaderMap>,
    }
}

impl<B> SignedBody<B> {
    pub(crate) const fn passing(body: B) -> Self {
        Self { read: None, rest: Some(body), trailers: None }
    }

    pub(crate) const fn begun(read: Bytes, rest: B) -> Self {
        Self { read: Some(read), rest: Some(rest), trailers: None }
    }

    pub(crate) fn whole(read: Bytes, trailers: Option<HeaderMap>) -> Self {
        let read = (!read.is_empty()).then_some(read);
        Self { read, rest: None, trailers }
    }
}

/// No data and no trailers.
impl<B> Default for SignedBody<B> {
    fn default() -> Self {
        Self::whole(Bytes::new(), None)
    }
}

impl<B: Body<Data = Bytes>> Body for SignedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if let Some(read) = this.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        if let Some(rest) = this.rest.as_pin_mut() {
            return Poll::Ready(ready!(rest.poll_frame(cx)));
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let read =
            self.read.as_ref().map_or(0, |read| u64::try_from(read.len()).unwrap_or(u64::MAX));
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}
