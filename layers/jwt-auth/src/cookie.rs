//! A cookie among others (RFC 6265 §4.2.1), which HTTP/2 may spread over several lines (RFC 9113 §8.2.3).

use http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::Unauthorized;

/// The value of the cookie, which must not be there twice; an empty one is none: it was deleted.
pub(crate) fn find<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a [u8]>, Unauthorized> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes()));
    let mut values = pairs.filter_map(|pair| value(pair, name));
    let found = values.next();
    if values.next().is_some() {
        return Err(Unauthorized::AmbiguousToken);
    }
    Ok(found.filter(|value| !value.is_empty()))
}

/// Takes the cookie out of all lines; the others stay as they are, and so do lines that do not have it.
pub(crate) fn remove(headers: &mut HeaderMap, name: &str) {
    let has = |line: &HeaderValue| pairs(line.as_bytes()).any(|pair| value(pair, name).is_some());
    if !headers.get_all(COOKIE).iter().any(has) {
        return;
    }
    let lines: Vec<_> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let rest = if has(&line) { without(&line, name) } else { Some(line) };
        if let Some(rest) = rest {
            headers.append(COOKIE, rest);
        }
    }
}

/// The line without the cookie, or nothing if there was no other.
fn without(line: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let rest: Vec<_> = pairs(line.as_bytes()).filter(|pair| value(pair, name).is_none()).collect();
    let rest = rest.join(&b';');
    let rest = rest.trim_ascii_start();
    let mut rest = HeaderValue::from_bytes(rest).ok().filter(|rest| !rest.is_empty())?;
    rest.set_sensitive(line.is_sensitive());
    Some(rest)
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

/// The value, if the pair has that name; quotes around it are not part of it.
fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    let found = halves.next()?.trim_ascii() == name.as_bytes();
    let value = halves.next().filter(|_| found)?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}
