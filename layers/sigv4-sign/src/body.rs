use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::SignedBodyError;
use crate::chunk_encoder::{Encoder, WrongLength};

pin_project! {
    /// The body of a signed request: the one that came, or the bytes that were read of it to be hashed.
    ///
    /// A hashed body is one frame of data, and its trailers if it had any; its size is known. A body that was found too
    /// large while it was read, and goes unsigned, begins with what was read.
    ///
    /// A [`Streaming`](crate::Streaming) body is encoded as it is asked for, and its size is that of the encoded body. At
    /// most one chunk is held, and what is left of one frame. Its own trailers are dropped: the coding has none but those
    /// that were signed. One that fails, or is not as long as it said, ends in an error before its last chunk, so that no
    /// service takes it for whole.
    ///
    /// All else passes through as it is.
    #[derive(Clone, Debug)]
    pub struct SignedBody<B> {
        read: Option<Bytes>,
        #[pin]
        rest: Option<B>, // none once it was read to its end
        trailers: Option<HeaderMap>,
        encoder: Option<Box<Encoder>>,
    }
}

impl<B> SignedBody<B> {
    pub(crate) const fn passing(body: B) -> Self {
        Self { read: None, rest: Some(body), trailers: None, encoder: None }
    }

    pub(crate) const fn begun(read: Bytes, rest: Option<B>) -> Self {
        Self { read: Some(read), rest, trailers: None, encoder: None }
    }

    pub(crate) fn whole(read: Bytes, trailers: Option<HeaderMap>) -> Self {
        let read = (!read.is_empty()).then_some(read);
        Self { read, rest: None, trailers, encoder: None }
    }

    pub(crate) fn encoded(self, encoder: Option<Box<Encoder>>) -> Self {
        Self { encoder, ..self }
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
    type Error = SignedBodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        if let Some(encoder) = this.encoder {
            let next = ready!(poll_encoded(encoder, this.rest, cx))?;
            return Poll::Ready(next.map(|data| Ok(Frame::data(data))));
        }
        if let Some(read) = this.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        if let Some(rest) = this.rest.as_pin_mut() {
            let frame = ready!(rest.poll_frame(cx));
            return Poll::Ready(frame.map(|frame| frame.map_err(SignedBodyError::Inner)));
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        if let Some(encoder) = &self.encoder {
            return encoder.left() == 0;
        }
        self.read.is_none()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(encoder) = &self.encoder {
            return SizeHint::with_exact(encoder.left());
        }
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

fn poll_encoded<B: Body<Data = Bytes>>(
    encoder: &mut Encoder,
    mut rest: Pin<&mut Option<B>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, SignedBodyError<B::Error>>> {
    loop {
        if let Some(next) = encoder.next() {
            return Poll::Ready(Ok(Some(next)));
        }
        let Some(body) = rest.as_mut().as_pin_mut() else { return Poll::Ready(Ok(None)) };
        let frame = ready!(body.poll_frame(cx)).transpose().map_err(SignedBodyError::Inner);
        let taken = frame.and_then(|frame| match frame.map(Frame::into_data) {
            Some(Ok(data)) => Ok(encoder.push(data)?),
            Some(Err(_)) | None => {
                rest.set(None);
                Ok(encoder.finish()?)
            }
        });
        if let Err(error) = taken {
            rest.set(None);
            encoder.abort();
            return Poll::Ready(Err(error));
        }
    }
}

impl<E> From<WrongLength> for SignedBodyError<E> {
    fn from(wrong: WrongLength) -> Self {
        match wrong {
            WrongLength::Long => Self::TooLong,
            WrongLength::Short => Self::TooShort,
        }
    }
}
