use std::fmt;

use http::HeaderName;
use http::header::COOKIE;
use http::request::Parts;

use crate::candidates::mix;

/// Finds out what a request's replica depends on.
///
/// Closures do, too: by the client's address, say, wherever the application keeps it. Their key is best made by
/// [`HashOn::key`]. A request without a key goes to a replica at random.
pub trait HashKey: Send + Sync {
    /// The request's key.
    fn hash_key(&self, request: &Parts) -> Option<u64>;
}

impl<F: Fn(&Parts) -> Option<u64> + Send + Sync> HashKey for F {
    fn hash_key(&self, request: &Parts) -> Option<u64> {
        self(request)
    }
}

/// A part of the request that its replica depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashOn(Part);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Path,
    Header(HeaderName),
    Cookie(Box<str>),
}

impl HashOn {
    /// The path, without the query.
    #[must_use]
    pub const fn path() -> Self {
        Self(Part::Path)
    }

    /// The first header of this name.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self(Part::Header(name))
    }

    /// The first cookie of this name.
    #[must_use]
    pub fn cookie(name: impl Into<Box<str>>) -> Self {
        Self(Part::Cookie(name.into()))
    }

    /// The key of these bytes, the same in every process.
    #[must_use]
    pub fn key(bytes: &[u8]) -> u64 {
        // FNV-1a.
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

impl HashKey for HashOn {
    fn hash_key(&self, request: &Parts) -> Option<u64> {
        let bytes = match &self.0 {
            Part::Path => request.uri.path().as_bytes(),
            Part::Header(name) => request.headers.get(name)?.as_bytes(),
            Part::Cookie(name) => cookie(request, name.as_bytes())?,
        };
        Some(Self::key(bytes))
    }
}

/// The value of a cookie, from any of the request's cookie headers (RFC 6265 §5.4; HTTP/2 may split them).
fn cookie<'a>(request: &'a Parts, name: &[u8]) -> Option<&'a [u8]> {
    let headers = request.headers.get_all(COOKIE).into_iter();
    let mut pairs = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

impl fmt::Debug for dyn HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(on: &HashOn, request: &[(&str, &str)]) -> Option<u64> {
        let mut builder = Request::get("/photos/cat.jpg?size=3");
        for (name, value) in request {
            builder = builder.header(*name, *value);
        }
        on.hash_key(&builder.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_query_does_not_change_the_key_of_a_path() {
        assert_eq!(key(&HashOn::path(), &[]), Some(HashOn::key(b"/photos/cat.jpg")));
    }

    #[test]
    fn a_header_that_is_missing_is_no_key() {
        let on = HashOn::header(HeaderName::from_static("x-user"));

        assert_eq!(key(&on, &[]), None);
        assert_eq!(key(&on, &[("x-user", "7"), ("x-user", "8")]), Some(HashOn::key(b"7")));
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name_in_any_line() {
        let on = HashOn::cookie("id");

        assert_eq!(key(&on, &[("cookie", "idle=1; xid=2")]), None);
        let split = [("cookie", "a=1"), ("cookie", "idle=2;id=7")];
        assert_eq!(key(&on, &split), Some(HashOn::key(b"7")));
    }
}
