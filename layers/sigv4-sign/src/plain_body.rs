use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use sha2::{Digest, Sha256};

use crate::Unverified;
use crate::aws_chunked::Decoder;

pin_project! {
    /// The body of a request as it was before its client signed or chunked it.
    ///
    /// The frame that completes it is held back until all is checked. What does not match ends in an error before that
    /// frame, so that nobody below ever has a complete body that is not the client's. Where something is checked, the
    /// trailers of HTTP are dropped: no signature covers them.
    pub struct PlainBody<B> {
        #[pin]
        inner: B,
        check: Option<Box<Check>>, // none where there is nothing to check
    }
}

struct Check {
    by: By,
    held: Option<Bytes>,
    state: State,
    failure: Failure,
}

enum By {
    Hash { hash: Sha256, expected: [u8; 32] },
    Chunks { decoder: Box<Decoder>, input: Bytes },
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Verified,
    Failed,
}

/// Why a body did not pass, for the response.
pub(crate) type Failure = Arc<OnceLock<Unverified>>;

impl<B> PlainBody<B> {
    pub(crate) const fn passing(inner: B) -> Self {
        Self { inner, check: None }
    }

    /// Lets `inner` end only if it has this SHA-256.
    pub(crate) fn hashed(inner: B, expected: [u8; 32]) -> Self {
        Self::checked(inner, By::Hash { hash: Sha256::new(), expected })
    }

    pub(crate) fn decoded(inner: B, decoder: Decoder) -> Self {
        Self::checked(inner, By::Chunks { decoder: Box::new(decoder), input: Bytes::new() })
    }

    /// Where it is told why the body did not pass.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.check.as_ref().map(|check| Arc::clone(&check.failure))
    }

    fn checked(inner: B, by: By) -> Self {
        let check = Check { by, held: None, state: State::Open, failure: Failure::default() };
        Self { inner, check: Some(Box::new(check)) }
    }
}

impl<B: Default> Default for PlainBody<B> {
    fn default() -> Self {
        Self::passing(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for PlainBody<B> {
    type Data = Bytes;
    type Error = PlainBodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let Some(check) = this.check else {
            let frame = ready!(this.inner.poll_frame(cx));
            return Poll::Ready(frame.map(|frame| frame.map_err(PlainBodyError::Inner)));
        };
        loop {
            match check.state {
                State::Open => {}
                State::Verified => {
                    return Poll::Ready(check.held.take().map(|held| Ok(Frame::data(held))));
                }
                State::Failed => return Poll::Ready(None),
            }
            let passed = match check.decode() {
                Ok(None) if this.inner.is_end_stream() => check.end().map(|()| None),
                Ok(None) => match ready!(this.inner.as_mut().poll_frame(cx)) {
                    Some(Ok(frame)) => Ok(frame.into_data().ok().and_then(|data| check.push(data))),
                    None => check.end().map(|()| None),
                    Some(Err(error)) => {
                        check.close();
                        return Poll::Ready(Some(Err(PlainBodyError::Inner(error))));
                    }
                },
                decoded => decoded,
            };
            match passed {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(reason) => return Poll::Ready(Some(Err(check.fail(reason)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.check {
            None => self.inner.is_end_stream(),
            Some(check) => check.state != State::Open && check.held.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Some(check) = &self.check else { return self.inner.size_hint() };
        let held = check.held.as_ref().map_or(0, length);
        match &check.by {
            _ if check.state != State::Open => SizeHint::with_exact(held),
            By::Chunks { decoder, .. } => SizeHint::with_exact(decoder.left().saturating_add(held)),
            By::Hash { .. } => {
                let rest = self.inner.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(held));
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
                    hint.set_upper(upper);
                }
                hint
            }
        }
    }
}

impl Check {
    /// What of the input may pass on; none when there is no more of it.
    fn decode(&mut self) -> Result<Option<Bytes>, Unverified> {
        let By::Chunks { decoder, input } = &mut self.by else { return Ok(None) };
        while let Some(data) = decoder.step(input)? {
            if decoder.left() > 0 {
                return Ok(Some(data));
            }
            self.held = Some(data);
        }
        Ok(None)
    }

    /// Takes what came in; what was held instead of it may pass on.
    fn push(&mut self, data: Bytes) -> Option<Bytes> {
        match &mut self.by {
            By::Chunks { input, .. } => {
                *input = data;
                None
            }
            By::Hash { .. } if data.is_empty() => None,
            By::Hash { hash, .. } => {
                hash.update(&data);
                self.held.replace(data)
            }
        }
    }

    fn end(&mut self) -> Result<(), Unverified> {
        match &mut self.by {
            By::Chunks { decoder, .. } => decoder.end()?,
            By::Hash { hash, expected } => {
                if <[u8; 32]>::from(mem::take(hash).finalize()) != *expected {
                    return Err(Unverified::WrongContentHash);
                }
            }
        }
        self.state = State::Verified;
        Ok(())
    }

    fn close(&mut self) {
        self.state = State::Failed;
        self.held = None;
    }

    fn fail<E>(&mut self, reason: Unverified) -> PlainBodyError<E> {
        self.close();
        let _ = self.failure.set(reason); // it fails once
        PlainBodyError::Unverified(reason)
    }
}

impl<B> fmt::Debug for PlainBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainBody").finish_non_exhaustive()
    }
}

/// Why a [`PlainBody`] broke off.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlainBodyError<E> {
    /// The body that came in did.
    Inner(E),
    /// It is not what its client signed or announced.
    Unverified(Unverified),
}

impl<E> fmt::Display for PlainBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "the body broke off",
            Self::Unverified(_) => "the body is not what its client announced",
        })
    }
}

impl<E: Error + 'static> Error for PlainBodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Inner(error) => Some(error),
            Self::Unverified(reason) => Some(reason),
        }
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
