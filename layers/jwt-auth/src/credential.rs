//! The token of a request: found, and taken out.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri};

use crate::source::Place;
use crate::{TokenSource, Unauthorized, cookie, query};

/// The token of a request, from the only one of `sources` that has one.
///
/// A browser sends its cookies whatever else it sends, so a header outranks a cookie. Any other two are a mistake, or an
/// attempt to have two parties see two tokens (RFC 6750 §2).
pub(crate) fn only<'a>(
    sources: &[TokenSource],
    headers: &'a HeaderMap,
    uri: &'a Uri,
) -> Result<&'a [u8], Unauthorized> {
    let among = |wanted: fn(&Place) -> bool| {
        let mut found = None;
        for place in sources.iter().map(|source| &source.0).filter(|place| wanted(place)) {
            let Some(token) = find(place, headers, uri)? else { continue };
            if found.replace(token).is_some() {
                return Err(Unauthorized::AmbiguousToken);
            }
        }
        Ok(found)
    };
    let header = among(|place| matches!(place, Place::Bearer | Place::Header { .. }))?;
    let query = among(|place| matches!(place, Place::Query(_)))?;
    let token = match (header, query) {
        (Some(_), Some(_)) => return Err(Unauthorized::AmbiguousToken),
        (Some(token), None) => token,
        (None, query) => match (query, among(|place| matches!(place, Place::Cookie(_)))?) {
            (Some(_), Some(_)) => return Err(Unauthorized::AmbiguousToken),
            (query, cookie) => query.or(cookie).ok_or(Unauthorized::MissingToken)?,
        },
    };
    Ok(token)
}

/// Whether it could be a token of any kind (RFC 6750 §2.1).
pub(crate) fn is_plain(token: &[u8]) -> bool {
    // Without a way out it is many bytes at a time, and few tokens have a byte to stop at.
    token.iter().fold(true, |plain, byte| {
        let mark = matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        plain & (byte.is_ascii_alphanumeric() | mark)
    })
}

/// Takes what `source` reads out of the request, used or not, so that nobody behind the layer can use or log it.
pub(crate) fn strip<B>(source: &TokenSource, request: &mut Request<B>) -> Result<(), Unauthorized> {
    match &source.0 {
        Place::Bearer => strip_prefixed(request.headers_mut(), &AUTHORIZATION, BEARER),
        Place::Header { name, prefix } => strip_prefixed(request.headers_mut(), name, prefix),
        Place::Cookie(name) => cookie::remove(request.headers_mut(), name),
        Place::Query(name) => query::remove(request.uri_mut(), name)?,
    }
    Ok(())
}

fn find<'a>(
    place: &Place,
    headers: &'a HeaderMap,
    uri: &'a Uri,
) -> Result<Option<&'a [u8]>, Unauthorized> {
    match place {
        Place::Bearer => only_line(headers, &AUTHORIZATION)?.map_or(Ok(None), bearer),
        Place::Header { name, prefix } => {
            let value = only_line(headers, name)?.and_then(|line| after(line, prefix));
            Ok(value.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty()))
        }
        Place::Cookie(name) => cookie::find(headers, name),
        Place::Query(name) => query::find(uri, name),
    }
}

fn only_line<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a [u8]>, Unauthorized> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Unauthorized::AmbiguousToken);
    }
    Ok(line.map(HeaderValue::as_bytes))
}

/// The token of an `Authorization` of that scheme; none of another.
fn bearer(line: &[u8]) -> Result<Option<&[u8]>, Unauthorized> {
    let rest = match after(line, BEARER) {
        None => return Ok(None),
        // A scheme whose name begins like this one.
        Some(rest) if rest.first().is_some_and(|byte| *byte != b' ') => return Ok(None),
        Some(rest) => rest.trim_ascii(),
    };
    if rest.is_empty() { Err(Unauthorized::MalformedCredential) } else { Ok(Some(rest)) }
}

fn strip_prefixed(headers: &mut HeaderMap, name: &HeaderName, prefix: &str) {
    // What begins otherwise is not ours: it may be the upstream's own password.
    if headers.get_all(name).iter().any(|line| after(line.as_bytes(), prefix).is_some()) {
        headers.remove(name);
    }
}

/// What follows `prefix`, in any case.
fn after<'a>(line: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

const BEARER: &str = "bearer";
