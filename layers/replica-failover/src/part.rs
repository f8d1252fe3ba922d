use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::Resume;

/// What a client still has to get of a representation, and how to tell that representation from any other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    /// The next byte, counted from the start of the whole.
    next: u64,
    /// The byte after the last one.
    end: u64,
    total: u64,
    etag: HeaderValue,
}

impl Part {
    /// What a response promises; none, if the rest of it could not be told from something else.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        // Trailers speak of the whole, or of the part they came with: they cannot be had from elsewhere.
        if headers.contains_key(TRAILER) || !is_plain(headers) {
            return None;
        }
        let etag = strong_etag(headers)?.clone();
        let part = match status {
            StatusCode::OK => {
                let total = content_length(headers)?;
                Self { next: 0, end: total, total, etag }
            }
            StatusCode::PARTIAL_CONTENT => {
                let (next, end, total) = content_range(headers)?;
                Self { next, end, total, etag }
            }
            _ => return None,
        };
        (part.left() > 0 && part.has_length_of(headers)).then_some(part)
    }

    /// Whether a response is this part, no more and no less.
    pub(crate) fn is(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        status == StatusCode::PARTIAL_CONTENT
            && is_plain(headers)
            && strong_etag(headers) == Some(&self.etag)
            && content_range(headers) == Some((self.next, self.end, self.total))
            && self.has_length_of(headers)
    }

    /// Asks for this part, and nothing else.
    pub(crate) fn ask(&self, headers: &mut HeaderMap, resume: Resume) {
        for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE] {
            headers.remove(name);
        }
        let precondition = match resume {
            Resume::IfRange => IF_RANGE,
            Resume::IfMatch => IF_MATCH,
        };
        headers.insert(precondition, self.etag.clone());
        let mut range = format!("bytes={}-", self.next);
        if self.end < self.total {
            range.push_str(&(self.end - 1).to_string());
        }
        if let Ok(range) = range.try_into() {
            headers.insert(RANGE, range);
        }
    }

    /// The next byte, counted from the start of the whole.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// How many bytes are to come.
    pub(crate) const fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Takes so many bytes off, unless they are more than there are.
    pub(crate) fn read(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes <= self.left());
        self.next += bytes.unwrap_or(0);
        bytes.is_some()
    }

    fn has_length_of(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(CONTENT_LENGTH) || content_length(headers) == Some(self.left())
    }
}

/// Whether the bytes are those of the representation itself.
fn is_plain(headers: &HeaderMap) -> bool {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    let multipart = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .get(..MULTIPART.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
    });
    headers.get_all(CONTENT_ENCODING).iter().all(identity) && !multipart
}

/// A validator that changes with every byte (RFC 9110 §8.8.1).
fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    let etag = single(headers, ETAG)?;
    match etag.as_bytes() {
        [b'"', opaque @ .., b'"'] if !opaque.contains(&b'"') => Some(etag),
        _ => None,
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(single(headers, CONTENT_LENGTH)?.to_str().ok()?)
}

/// The first byte, the one after the last, and the length of the whole (RFC 9110 §14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let value = single(headers, CONTENT_RANGE)?.to_str().ok()?;
    let (unit, value) = value.split_once(' ')?;
    let (range, total) = value.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    let known = unit.eq_ignore_ascii_case("bytes") && first <= last && last < total;
    known.then_some((first, last + 1, total))
}

fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn single(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

const MULTIPART: &[u8] = b"multipart/byteranges";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    const ETAG: (&str, &str) = ("etag", "\"v1\"");
    const OK: StatusCode = StatusCode::OK;
    const PARTIAL: StatusCode = StatusCode::PARTIAL_CONTENT;

    #[test]
    fn only_what_can_be_told_from_anything_else_can_be_resumed() {
        let length = ("content-length", "10");
        let range = ("content-range", "bytes 5-14/20");
        for (status, lines, resumable) in [
            (OK, &[ETAG, length][..], true),
            (OK, &[ETAG, length, ("content-encoding", "Identity")], true),
            (PARTIAL, &[ETAG, range], true),
            (PARTIAL, &[ETAG, range, length], true),
            (StatusCode::NON_AUTHORITATIVE_INFORMATION, &[ETAG, length], false),
            (OK, &[length], false),
            (OK, &[ETAG], false),
            (OK, &[("etag", "W/\"v1\""), length], false),
            (OK, &[("etag", "v1"), length], false),
            (OK, &[("etag", "\""), length], false),
            (OK, &[("etag", "\"v1\", \"v2\""), length], false),
            (OK, &[ETAG, ETAG, length], false),
            (OK, &[("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT"), length], false),
            (OK, &[ETAG, length, length], false),
            (OK, &[ETAG, ("content-length", "+10")], false),
            (OK, &[ETAG, ("content-length", "0")], false),
            (OK, &[ETAG, length, ("content-encoding", "gzip")], false),
            (OK, &[ETAG, length, ("trailer", "x-checksum")], false),
            (PARTIAL, &[ETAG, length], false),
            (PARTIAL, &[ETAG, range, ("content-length", "9")], false),
            (PARTIAL, &[ETAG, range, ("content-type", "Multipart/ByteRanges; boundary=x")], false),
            (PARTIAL, &[ETAG, ("content-range", "bytes 5-14/*")], false),
            (PARTIAL, &[ETAG, ("content-range", "bytes */20")], false),
            (PARTIAL, &[ETAG, ("content-range", "bytes 14-5/20")], false),
            (PARTIAL, &[ETAG, ("content-range", "bytes 5-20/20")], false),
            (PARTIAL, &[ETAG, ("content-range", "items 5-14/20")], false),
            (PARTIAL, &[ETAG, ("content-range", "bytes 5-14/99999999999999999999")], false),
        ] {
            let part = Part::of(status, &headers(lines));

            assert_eq!(part.is_some(), resumable, "{status} {lines:?}");
        }
    }

    #[test]
    fn the_rest_is_asked_for_by_its_own_range_and_precondition_alone() {
        let mut part =
            Part::of(PARTIAL, &headers(&[ETAG, ("content-range", "bytes 5-14/20")])).unwrap();
        assert!(part.read(3));
        let mut asked = headers(&[
            ("accept", "*/*"),
            ("range", "bytes=5-14"),
            ("if-none-match", "\"v0\""),
            ("if-modified-since", "Fri, 20 Nov 2026 10:00:00 GMT"),
            ("if-match", "*"),
        ]);

        part.ask(&mut asked, Resume::IfRange);

        let rest = [("accept", "*/*"), ("range", "bytes=8-14"), ("if-range", "\"v1\"")];
        assert_eq!(asked, headers(&rest));

        part.ask(&mut asked, Resume::IfMatch);

        let rest = [("accept", "*/*"), ("range", "bytes=8-14"), ("if-match", "\"v1\"")];
        assert_eq!(asked, headers(&rest));
    }

    proptest! {
        #[test]
        fn what_fits_starts_at_the_next_byte_and_ends_where_the_first_would_have(
            (total, first, last) in (1_u64..30).prop_flat_map(|total| {
                (Just(total), 0..total, 0..total)
            }),
            read in 0_usize..40,
            answer in (0_u64..30, 0_u64..30, 1_u64..31),
            status in prop::sample::select(vec![OK, PARTIAL]),
            etag in prop::sample::select(vec!["\"v1\"", "\"v2\"", "W/\"v1\""]),
        ) {
            prop_assume!(first <= last);
            let promise = format!("bytes {first}-{last}/{total}");
            let mut part =
                Part::of(PARTIAL, &headers(&[ETAG, ("content-range", &promise)])).unwrap();
            let fits = part.read(read);
            prop_assert_eq!(fits, read as u64 <= last - first + 1);
            let next = if fits { first + read as u64 } else { first };
            prop_assert_eq!((part.next(), part.left()), (next, last + 1 - next));

            let (from, to, whole) = answer;
            let says = format!("bytes {from}-{to}/{whole}");
            let expected = (status, etag) == (PARTIAL, "\"v1\"")
                && (from, to, whole) == (next, last, total)
                && part.left() > 0;
            let is = part.is(status, &headers(&[("etag", etag), ("content-range", &says)]));
            prop_assert_eq!(is, expected);
            let exact = format!("bytes {next}-{last}/{total}");
            let exact = headers(&[ETAG, ("content-range", &exact)]);
            prop_assert_eq!(part.is(PARTIAL, &exact), part.left() > 0);
        }
    }
}
