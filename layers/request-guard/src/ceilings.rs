use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Request, Uri};
use http_body::{Body, SizeHint};

use crate::{Part, TooLarge};

/// How large a request may be.
///
/// A request exactly at a ceiling passes. None of them has a value for "no limit": at `0` everything is refused that
/// has the part at all.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Sizes are a number of bytes, or text with one of the
/// units `B`, `KiB`, `MiB` and `GiB`. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [request_guard]
/// max_uri = "8KiB"           # default
/// max_header_block = "64KiB" # default
/// max_header_count = 100     # default
/// max_body = "10MiB"         # by default, there is no limit
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "ceilings do nothing until a layer applies them"]
pub struct Ceilings {
    /// Of the URI, in bytes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_uri: u64,
    /// Of all headers, in bytes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_header_block: u64,
    /// Of headers, in number.
    max_header_count: u64,
    /// Of the body, in bytes; no limit when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::some_size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_body: Option<u64>,
}

impl Ceilings {
    /// The defaults: 8 KiB of URI, 64 KiB in 100 headers, and any body.
    pub const fn new() -> Self {
        Self { max_uri: 8 << 10, max_header_block: 64 << 10, max_header_count: 100, max_body: None }
    }

    /// Allows URIs of up to `bytes`.
    ///
    /// What counts is the URI that reaches the layer, with scheme and authority if it has them, as over HTTP/2. The
    /// `http` crate itself takes no more than 65,534 bytes.
    pub const fn max_uri(mut self, bytes: u64) -> Self {
        self.max_uri = bytes;
        self
    }

    /// Allows header blocks of up to `bytes`.
    ///
    /// What counts is name, value and 32 bytes for each line, over any version of HTTP: the size that HTTP/2 and
    /// HTTP/3 have for a header list (RFC 9113 §6.5.2, RFC 9114 §4.2.2), which a pile of tiny headers cannot evade.
    pub const fn max_header_block(mut self, bytes: u64) -> Self {
        self.max_header_block = bytes;
        self
    }

    /// Allows up to `lines` headers; a name that is sent twice counts twice.
    pub const fn max_header_count(mut self, lines: u64) -> Self {
        self.max_header_count = lines;
        self
    }

    /// Allows bodies of up to `bytes`, trailers aside; at `0` a request may have none.
    pub const fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// The most bytes that URI and header block of a request may have together.
    ///
    /// The HTTP parser in front has limits, too. They must stand above this one and [`header_lines`](Self::header_lines),
    /// or a request is refused before the layer sees it, and not as the layer would.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.max_uri.saturating_add(self.max_header_block)
    }

    /// The most header lines that a request may have.
    #[must_use]
    pub const fn header_lines(&self) -> u64 {
        self.max_header_count
    }

    pub(crate) fn check<B: Body>(&self, request: &Request<B>) -> Result<(), TooLarge> {
        let headers = request.headers();
        within(Part::Uri, uri_length(request.uri()), self.max_uri)?;
        within(Part::HeaderCount, bytes(headers.len()), self.max_header_count)?;
        within(Part::HeaderBlock, header_block(headers), self.max_header_block)?;
        self.max_body.map_or(Ok(()), |limit| {
            within(Part::Body, request.body().size_hint().lower(), limit)?;
            within(Part::Body, declared_length(headers), limit)
        })
    }

    pub(crate) const fn body(&self) -> Option<u64> {
        self.max_body
    }

    /// The refusal to hold ready for a body that `hint` does not show to be small enough.
    pub(crate) fn may_exceed(&self, hint: SizeHint) -> Option<TooLarge> {
        let limit = self.max_body?;
        let fits = hint.upper().is_some_and(|upper| upper <= limit);
        (!fits).then_some(TooLarge::new(Part::Body, limit))
    }
}

impl Default for Ceilings {
    fn default() -> Self {
        Self::new()
    }
}

fn within(part: Part, size: u64, limit: u64) -> Result<(), TooLarge> {
    if size <= limit { Ok(()) } else { Err(TooLarge::new(part, limit)) }
}

fn uri_length(uri: &Uri) -> u64 {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    bytes(scheme + authority + path)
}

fn header_block(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| bytes(name.as_str().len() + value.len() + OVERHEAD)).sum()
}

/// What `Content-Length` says, if it says anything. A body that breaks its word is cut where it does.
fn declared_length(headers: &HeaderMap) -> u64 {
    let declared = headers.get(CONTENT_LENGTH).map_or(&b""[..], |value| value.as_bytes());
    if declared.iter().all(u8::is_ascii_digit) {
        let digits = declared.iter().map(|digit| u64::from(digit - b'0'));
        digits.fold(0, |length, digit| length.saturating_mul(10).saturating_add(digit))
    } else {
        0
    }
}

/// A length in memory fits.
pub(crate) fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// RFC 7541 §4.1.
const OVERHEAD: usize = 32;
