use std::mem;

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// The head of a request that may be sent more than once.
pub(crate) enum Head {
    Whole(Parts),
    /// It is sent, and may be sent again.
    Spare(Spare),
    /// It is sent for good.
    Gone,
}

impl Head {
    /// The request to be sent, of whose head nothing is kept if that is for good.
    ///
    /// It has none if [`whole`](Self::whole) has none.
    pub(crate) fn send<B>(&mut self, for_good: bool, body: B) -> Request<B> {
        if let Self::Spare(_) = self {
            self.whole();
        }
        let again = match self {
            Self::Whole(parts) if !for_good => Self::Spare(Spare::of(parts)),
            _ => Self::Gone,
        };
        match mem::replace(self, again) {
            Self::Whole(parts) => Request::from_parts(parts, body),
            _ => Request::new(body),
        }
    }

    /// The head as it was first sent; none, if it is not kept.
    pub(crate) fn whole(&mut self) -> Option<&Parts> {
        if let Self::Spare(spare) = self {
            *self = spare.parts().map_or(Self::Gone, Self::Whole);
        }
        match self {
            Self::Whole(parts) => Some(parts),
            _ => None,
        }
    }

    /// Leaves nothing behind.
    pub(crate) const fn take(&mut self) -> Self {
        mem::replace(self, Self::Gone)
    }
}

/// What it takes to make a head anew.
///
/// That is seldom done, so its headers are not a map: they are written one behind the other into one buffer, which takes one
/// allocation and no count of references for each of them.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    version: Version,
    extensions: Extensions,
    /// Of each header a word, which has the lengths of name and value, then both.
    lines: Vec<u8>,
    /// The values that are shared instead of copied, in their order.
    long: Vec<HeaderValue>,
}

impl Spare {
    fn of(parts: &Parts) -> Self {
        let mut lines = Vec::with_capacity(parts.headers.len() * USUAL);
        let mut long = Vec::new();
        for (name, value) in &parts.headers {
            let name = name.as_str().as_bytes();
            let mut copied = value.as_bytes();
            let mut line = length(name) << 32;
            if value.is_sensitive() {
                line |= SENSITIVE;
            }
            if copied.len() > LONG {
                line |= SHARED;
                copied = &[];
                long.push(value.clone());
            }
            line |= length(copied);
            lines.extend_from_slice(&line.to_le_bytes());
            lines.extend_from_slice(name);
            lines.extend_from_slice(copied);
        }
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            extensions: parts.extensions.clone(),
            lines,
            long,
        }
    }

    /// None of what was not written by [`of`](Self::of).
    fn parts(&mut self) -> Option<Parts> {
        let headers = self.headers()?;
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = mem::take(&mut self.method);
        parts.uri = mem::take(&mut self.uri);
        parts.version = self.version;
        parts.headers = headers;
        parts.extensions = mem::take(&mut self.extensions);
        Some(parts)
    }

    fn headers(&mut self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        let mut long = mem::take(&mut self.long).into_iter();
        let mut lines = Bytes::from(mem::take(&mut self.lines));
        while !lines.is_empty() {
            let line = u64::from_le_bytes(cut(&mut lines, 8)?.as_ref().try_into().ok()?);
            let name = HeaderName::from_bytes(&cut(&mut lines, line >> 32)?).ok()?;
            let copied = cut(&mut lines, line & LENGTH)?;
            let mut value = match line & SHARED {
                0 => HeaderValue::from_maybe_shared(copied).ok()?,
                _ => long.next()?,
            };
            value.set_sensitive(line & SENSITIVE != 0);
            headers.try_append(name, value).ok()?;
        }
        Some(headers)
    }
}

/// Names have less than 2¹⁶ bytes, and values that are copied no more than [`LONG`].
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(LENGTH)
}

/// Takes so many bytes off.
fn cut(lines: &mut Bytes, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok().filter(|length| *length <= lines.len())?;
    Some(lines.split_to(length))
}

/// What a header takes, in bytes, if it is one of the many: more of them cost another allocation.
const USUAL: usize = 64;
/// A longer value is shared: by then, that is cheaper than to copy it.
const LONG: usize = 256;
const SENSITIVE: u64 = 1 << 31;
const SHARED: u64 = 1 << 30;
const LENGTH: u64 = SHARED - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(lines: &[(String, Vec<u8>, bool)]) -> Parts {
        let mut request = Request::put("https://api.example/items?page=2").body(()).unwrap();
        *request.version_mut() = Version::HTTP_2;
        request.extensions_mut().insert("mine");
        for (name, value, sensitive) in lines {
            let mut value = HeaderValue::from_bytes(value).unwrap();
            value.set_sensitive(*sensitive);
            request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        request.into_parts().0
    }

    fn lines(headers: &HeaderMap) -> Vec<(String, Vec<u8>, bool)> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.as_bytes().to_vec(), value.is_sensitive())
        };
        headers.iter().map(line).collect()
    }

    #[test]
    fn what_is_sent_for_good_is_not_kept() {
        let mut sent = Head::Whole(head(&[]));

        assert_eq!(sent.send(true, ()).method(), Method::PUT);

        assert!(sent.whole().is_none());
    }

    proptest! {
        #[test]
        fn what_is_sent_again_is_what_was_sent_first(
            headers in prop::collection::vec(
                (
                    prop_oneof!["[a-z][a-z-]{0,8}", Just("accept".into()), Just("cookie".into())],
                    prop_oneof![
                        9 => prop::collection::vec(prop_oneof![32_u8..127, Just(9_u8), 128_u8..=255], 0..20),
                        1 => (LONG - 2..LONG + 3).prop_map(|length| vec![b'x'; length]),
                    ],
                    any::<bool>(),
                ),
                0..12,
            ),
            removed in prop::collection::vec(0_usize..12, 0..3),
        ) {
            let mut first = head(&headers);
            for (name, ..) in removed.iter().filter_map(|index| headers.get(*index)) {
                first.headers.remove(name.as_str());
            }
            let again = first.clone();
            let mut kept = Head::Whole(first);

            for _ in 0..3 {
                let (sent, ()) = kept.send(false, ()).into_parts();

                prop_assert_eq!(lines(&sent.headers), lines(&again.headers));
                prop_assert_eq!((&sent.method, &sent.uri), (&again.method, &again.uri));
                prop_assert_eq!(sent.version, again.version);
                prop_assert_eq!(sent.extensions.get::<&str>(), Some(&"mine"));
            }
        }
    }
}
