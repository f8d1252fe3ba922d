use std::error::Error;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::header::HeaderValue;

use crate::current;
use crate::format::Text;

/// Names one request: found in the extensions of the request and of its response.
///
/// It is 1 to 128 letters, digits and `-_.:/+=`, so that it can neither forge a line of a log nor fill one. It is no secret,
/// no proof of anything, and nothing to label a metric with. A clone shares its bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RequestId(HeaderValue);

/// Says that a value is no [`RequestId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidRequestId;

impl RequestId {
    /// Takes a header value for an id.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 128 bytes, or has others than those that an id is made of.
    pub fn parse(value: &HeaderValue) -> Result<Self, InvalidRequestId> {
        if is_harmless(value.as_bytes()) { Ok(Self(value.clone())) } else { Err(InvalidRequestId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header value.
    #[must_use]
    pub const fn as_value(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }

    /// The id of the request that this thread is at work on, if its layer
    /// [keeps it at hand](crate::RequestIdLayer::keep_current).
    ///
    /// It is there while the response future of such a layer is polled, and what it calls: not in tasks that it spawns, nor
    /// while the body is sent.
    #[must_use]
    pub fn current() -> Option<Self> {
        current::get()
    }

    /// Of ASCII that is known to be harmless. It is in one allocation, which all clones share.
    pub(crate) fn made(text: Text) -> Self {
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
        Self(value.unwrap_or_else(|_| HeaderValue::from_static("-")))
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, InvalidRequestId> {
        Self::parse(&HeaderValue::from_str(text).map_err(|_| InvalidRequestId)?)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for InvalidRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id has 1 to 128 letters, digits and -_.:/+=")
    }
}

impl Error for InvalidRequestId {}

/// What was sent in the place of an id, in a form that a log can take.
pub(crate) struct Sanitised<'a>(pub(crate) &'a HeaderValue);

impl fmt::Display for Sanitised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.as_bytes().iter().take(MOST_BYTES) {
            let shown = if is_harmless_byte(*byte) { char::from(*byte) } else { '?' };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

fn is_harmless(value: &[u8]) -> bool {
    (1..=MOST_BYTES).contains(&value.len()) && value.iter().copied().all(is_harmless_byte)
}

const fn is_harmless_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=')
}

const MOST_BYTES: usize = 128;
