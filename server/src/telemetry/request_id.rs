use http::header::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::respond::X_REQUEST_ID;

/// Names one request in logs, responses and at the upstream: the client's own `x-request-id` if it
/// is harmless, else a UUID of version 7.
///
/// Harmless is one line of 1 to 128 letters, digits and `-_.:/+=`. An id is no secret: version 7 tells
/// the time of the request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request with these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(&X_REQUEST_ID).iter();
        match (lines.next(), lines.next()) {
            (Some(id), None) if is_harmless(id.as_bytes()) => Self(id.clone()),
            _ => Self::new(),
        }
    }

    fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text: &str = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits and dashes are a header value.
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    /// Replaces whatever the headers say.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.0.clone());
    }
}

fn is_harmless(id: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=128).contains(&id.len()) && id.iter().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&[u8]]) -> RequestId {
        let line = |value: &&[u8]| (X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        RequestId::of(&lines.iter().map(line).collect())
    }

    #[test]
    fn a_harmless_id_is_kept() {
        for id in ["a", "0190b2c4-7f3e-7000-8000-000000000000", "Root=1-67891233-abcdef"] {
            assert_eq!(of(&[id.as_bytes()]).as_str(), id);
        }
    }

    #[test]
    fn what_could_forge_a_log_line_or_fill_it_is_replaced() {
        let long = [b'a'; 129];
        for bad in [&b""[..], b"a b", b"a\"b", b"a\xff", b"a\tb", b"{}", &long] {
            let id = of(&[bad]);
            assert_eq!(id.as_str().len(), 36, "{bad:?}");
        }
        assert_eq!(of(&[b"a", b"b"]).as_str().len(), 36);
    }

    #[test]
    fn ids_differ_and_are_of_version_7() {
        let (one, two) = (of(&[]), of(&[]));

        assert_ne!(one, two);
        assert_eq!(Uuid::parse_str(one.as_str()).unwrap().get_version_num(), 7);
    }
}
