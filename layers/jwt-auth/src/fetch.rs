//! Gets a document from an issuer, by a service of the application's.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Buf;
use http::header::{ACCEPT, AGE, CACHE_CONTROL, HeaderMap, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body::Body;

use crate::{KeyFetcher, RefreshError};

/// What an issuer answered.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    /// How long it may be kept, if the issuer says.
    pub(crate) lifetime: Option<Duration>,
}

pub(crate) type Fetching = Pin<Box<dyn Future<Output = Result<Document, RefreshError>> + Send>>;

/// A client whose type is forgotten.
pub(crate) trait Fetch: Send + Sync {
    fn fetch(&self, uri: Uri, max_bytes: usize) -> Fetching;
}

/// A service as a client. It is cloned for each request, and only for that it is locked.
pub(crate) struct Client<F, B> {
    service: Mutex<F>,
    body: PhantomData<fn() -> B>,
}

impl<F, B> Client<F, B> {
    pub(crate) const fn new(service: F) -> Self {
        Self { service: Mutex::new(service), body: PhantomData }
    }
}

impl<F: KeyFetcher<B>, B: Default + Send + 'static> Fetch for Client<F, B> {
    fn fetch(&self, uri: Uri, max_bytes: usize) -> Fetching {
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(fetch(service, uri, max_bytes))
    }
}

async fn fetch<B: Default>(
    mut service: impl KeyFetcher<B>,
    uri: Uri,
    max_bytes: usize,
) -> Result<Document, RefreshError> {
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
    let mut request = Request::new(B::default());
    *request.uri_mut() = uri;
    let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accepted);
    let response = service.call(request).await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(RefreshError::Status(response.status()));
    }
    let lifetime = lifetime(response.headers());
    let bytes = read(response.into_body(), max_bytes).await?;
    Ok(Document { bytes, lifetime })
}

async fn read<B>(body: B, max_bytes: usize) -> Result<Vec<u8>, RefreshError>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(failed)?.into_data() else { continue };
        if data.remaining() > max_bytes.saturating_sub(bytes.len()) {
            return Err(RefreshError::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            bytes.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(bytes)
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> RefreshError {
    let error = error.into();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    RefreshError::Failed(words)
}

/// How long a response is fresh by its `Cache-Control` (RFC 9111 §4.2), less the time that it has spent in caches.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut lifetime = None;
    for directive in lines.flat_map(|line| line.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") && lifetime.is_none() {
            lifetime = value.trim_matches('"').parse().map(Duration::from_secs).ok();
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    lifetime.map(|lifetime| lifetime.saturating_sub(Duration::from_secs(age.unwrap_or_default())))
}

impl<F, B> fmt::Debug for Client<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = lines.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        lifetime(&headers.collect()).map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn the_issuer_says_how_long_its_keys_live() {
        const CACHE: &str = "cache-control";
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(CACHE, "public")]), None);
        assert_eq!(of(&[(CACHE, "max-age=abc")]), None);
        assert_eq!(of(&[(CACHE, "max-age=-1")]), None);
        assert_eq!(of(&[(CACHE, "public, Max-Age=300")]), Some(300));
        assert_eq!(of(&[(CACHE, "max-age=\"300\"")]), Some(300));
        assert_eq!(of(&[(CACHE, "s-maxage=9, max-age=300"), ("age", "100")]), Some(200));
        assert_eq!(of(&[(CACHE, "max-age=300"), ("age", "400")]), Some(0));
        assert_eq!(of(&[(CACHE, "max-age=300, no-cache")]), Some(0));
        assert_eq!(of(&[(CACHE, "no-store")]), Some(0));
    }
}
