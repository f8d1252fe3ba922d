use std::borrow::Cow;
use std::fmt::Write;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body::{Body, SizeHint};

use crate::rejection::Rejection;
use crate::{HostPattern, MediaRange, Part, Paths, TooLarge, Unfit};

/// What a request must be to pass: how large at most, for whom, with what.
///
/// What is not said is not asked. A request exactly at a ceiling passes; at `0` everything is refused that has the part
/// at all. Lists that are empty ask nothing.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Sizes are a number of bytes, or text with one of the
/// units `B`, `KiB`, `MiB` and `GiB`. Every key may be left out; an unknown one is an error, and so is an empty list.
///
/// ```toml
/// [request_guard]
/// max_uri = "8KiB"
/// max_header_block = "64KiB"
/// max_header_count = 100
/// max_body = "10MiB"
/// hosts = ["example.com", "*.example.com"]            # 421
/// methods = ["GET", "POST"]                           # 405
/// headers = ["x-api-version"]                         # 400 without
/// content_types = ["application/json", "image/*"]     # 415
/// paths = "strict"                                    # 400; or "default", "s3", or a table: see `Paths`
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RequestGuard"))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct Policy {
    /// The longest URI, in bytes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::some_size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_uri: Option<u64>,
    /// The most bytes of all headers.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::some_size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_header_block: Option<u64>,
    /// The most headers.
    max_header_count: Option<u64>,
    /// The most bytes of a body; no limit when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::some_size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    max_body: Option<u64>,
    /// Hosts that requests may be for, like `example.com` and `*.example.com`; any when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::hosts"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::texts"))]
    hosts: Box<[HostPattern]>,
    /// Methods; any when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::methods"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::texts"))]
    methods: Box<[Method]>,
    /// Headers that a request must have.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::headers"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::texts"))]
    headers: Box<[HeaderName]>,
    /// What bodies may be, like `application/json` and `image/*`; anything when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::content_types"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::texts"))]
    content_types: Box<[MediaRange]>,
    /// Which paths are refused: `default`, `strict`, `s3`, or each kind of oddity on its own. Any pass when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::paths"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::paths"))]
    paths: Option<Paths>,
}

impl Policy {
    /// Asks nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ceilings that suit most: 8 KiB of URI, 64 KiB in 100 headers, and any body.
    pub fn ceilings() -> Self {
        Self::new().max_uri(8 << 10).max_header_block(64 << 10).max_header_count(100)
    }

    /// Allows URIs of up to `bytes`.
    ///
    /// What counts is the URI that reaches the layer, with scheme and authority if it has them, as over HTTP/2. The
    /// `http` crate itself takes no more than 65,534 bytes.
    pub const fn max_uri(mut self, bytes: u64) -> Self {
        self.max_uri = Some(bytes);
        self
    }

    /// Allows header blocks of up to `bytes`.
    ///
    /// What counts is name, value and 32 bytes for each line, over any version of HTTP: the size that HTTP/2 and
    /// HTTP/3 have for a header list (RFC 9113 §6.5.2, RFC 9114 §4.2.2), which a pile of tiny headers cannot evade.
    pub const fn max_header_block(mut self, bytes: u64) -> Self {
        self.max_header_block = Some(bytes);
        self
    }

    /// Allows up to `lines` headers; a name that is sent twice counts twice.
    pub const fn max_header_count(mut self, lines: u64) -> Self {
        self.max_header_count = Some(lines);
        self
    }

    /// Allows bodies of up to `bytes`, trailers aside; at `0` a request may have none.
    pub const fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Allows requests for these hosts, whatever the port: others are misdirected (`421`, RFC 9110 §15.5.20).
    ///
    /// The host is that of the URI, where it has one, or else that of `Host` (RFC 9112 §3.2.2). A request without a host,
    /// or with more than one `Host`, is for none of them.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = HostPattern>) -> Self {
        self.hosts = hosts.into_iter().collect();
        self
    }

    /// Allows these methods; the `405` names them in `Allow`. None implies another: `HEAD` is named beside `GET`.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Asks for these headers, whatever they say (`400`).
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = names.into_iter().collect();
        self
    }

    /// Allows bodies of these types; the `415` names them in `Accept` (RFC 9110 §12.5.1, §15.5.16).
    ///
    /// A body without a `Content-Type`, or with more than one, is of none of them. A request without a body is not asked.
    pub fn content_types(mut self, types: impl IntoIterator<Item = MediaRange>) -> Self {
        self.content_types = types.into_iter().collect();
        self
    }

    /// Judges paths so (`400`). A request for no path (`OPTIONS *`, `CONNECT`) is not asked.
    pub const fn paths(mut self, paths: Paths) -> Self {
        self.paths = Some(paths);
        self
    }

    /// Takes from `other` each ceiling, and the policy of paths, where this policy says nothing.
    pub fn or(mut self, other: &Self) -> Self {
        self.max_uri = self.max_uri.or(other.max_uri);
        self.max_header_block = self.max_header_block.or(other.max_header_block);
        self.max_header_count = self.max_header_count.or(other.max_header_count);
        self.max_body = self.max_body.or(other.max_body);
        self.paths = self.paths.or(other.paths);
        self
    }

    /// The ceiling of a part, if it has one.
    #[must_use]
    pub const fn limit(&self, part: Part) -> Option<u64> {
        match part {
            Part::Uri => self.max_uri,
            Part::HeaderBlock => self.max_header_block,
            Part::HeaderCount => self.max_header_count,
            Part::Body => self.max_body,
        }
    }

    /// How paths are judged, if they are.
    #[must_use]
    pub const fn judged_paths(&self) -> Option<Paths> {
        self.paths
    }

    /// Whether `request` may pass, and the path with which it goes on, if that is another.
    pub(crate) fn check<B: Body>(&self, request: &Request<B>) -> Result<Option<String>, Rejection> {
        let headers = request.headers();
        within(Part::Uri, || uri_length(request.uri()), self.max_uri)?;
        within(Part::HeaderCount, || bytes(headers.len()), self.max_header_count)?;
        within(Part::HeaderBlock, || header_block(headers), self.max_header_block)?;
        within(Part::Body, || request.body().size_hint().lower(), self.max_body)?;
        within(Part::Body, || declared_length(headers), self.max_body)?;

        if !self.hosts.is_empty() {
            let host = host(request);
            if !self.hosts.iter().any(|known| host.is_some_and(|host| known.matches(host))) {
                return Err(Unfit::Host.into());
            }
        }
        let path = self.judge(request.uri().path())?;
        if !self.methods.is_empty() && !self.methods.contains(request.method()) {
            return Err(Rejection::of_method(list(&self.methods)));
        }
        if let Some(missing) = self.headers.iter().find(|name| !headers.contains_key(*name)) {
            return Err(Unfit::MissingHeader(missing.clone()).into());
        }
        if !self.content_types.is_empty() && !request.body().is_end_stream() {
            let sent = only(headers, &CONTENT_TYPE);
            if !self.content_types.iter().any(|known| sent.is_some_and(|sent| known.matches(sent)))
            {
                return Err(Rejection::of_content_type(list(&self.content_types)));
            }
        }
        Ok(path)
    }

    fn judge(&self, path: &str) -> Result<Option<String>, Unfit> {
        let Some(paths) = self.paths.filter(|_| path.starts_with('/')) else { return Ok(None) };
        match paths.judge(path) {
            Ok(Cow::Borrowed(_)) => Ok(None),
            Ok(Cow::Owned(path)) => Ok(Some(path)),
            Err(flaw) => Err(Unfit::Path(flaw)),
        }
    }

    /// The refusal to hold ready for a body that `hint` does not show to be small enough.
    pub(crate) fn may_exceed(&self, hint: SizeHint) -> Option<TooLarge> {
        let limit = self.max_body?;
        let fits = hint.upper().is_some_and(|upper| upper <= limit);
        (!fits).then_some(TooLarge::new(Part::Body, limit))
    }
}

fn within(part: Part, size: impl FnOnce() -> u64, limit: Option<u64>) -> Result<(), TooLarge> {
    match limit {
        Some(limit) if size() > limit => Err(TooLarge::new(part, limit)),
        _ => Ok(()),
    }
}

/// The URI with another path.
pub(crate) fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut target = String::with_capacity(uri.path_and_query().map_or(0, |it| it.as_str().len()));
    target.push_str(path);
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.try_into().ok()?);
    Uri::from_parts(parts).ok()
}

/// What a header says that may stand only once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The host that a request is for, without its port.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let host = match request.uri().authority() {
        Some(authority) => authority.host(),
        None => only(request.headers(), &HOST).filter(|host| !host.contains('@'))?,
    };
    match host.strip_prefix('[') {
        Some(address) => address.split_once(']').map(|(address, _)| address),
        None => Some(host.split_once(':').map_or(host, |(host, _)| host)),
    }
}

/// The items with commas between them, as headers have lists.
fn list<T: ToString>(items: &[T]) -> Option<HeaderValue> {
    let mut list = String::new();
    for item in items {
        let comma = if list.is_empty() { "" } else { ", " };
        let _ = write!(list, "{comma}{}", item.to_string());
    }
    HeaderValue::try_from(list).ok()
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
