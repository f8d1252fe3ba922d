//! `ETag`s of compressed responses.

use http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

/// Whether a client knows a response by a weak tag: it may be one of ours.
pub(super) fn knows_weak(headers: &HeaderMap) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter();
    tags.any(|tags| tags.as_bytes().windows(3).any(|window| window == b"W/\""))
}

/// The same tag, weak: another coding has other bytes, and only the meaning is the same (RFC 9110 §8.8.1).
pub(super) fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else {
        return;
    };
    match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        Ok(weak) => drop(headers.insert(ETAG, weak)),
        Err(_) => drop(headers.remove(ETAG)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strong_tag_becomes_weak_and_others_stay() {
        for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\""), ("a", "a")] {
            let mut headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))]);
            weaken(&mut headers);

            assert_eq!(headers[ETAG], expected);
        }
        let mut none = HeaderMap::new();
        weaken(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn a_weak_tag_is_seen_in_any_list() {
        let knows = |tags: &[&'static str]| {
            let tags = tags.iter().map(|tag| (IF_NONE_MATCH, HeaderValue::from_static(tag)));
            let mut headers = HeaderMap::new();
            for (name, tag) in tags {
                headers.append(name, tag);
            }
            knows_weak(&headers)
        };

        assert!(knows(&["W/\"a\""]) && knows(&["\"b\", W/\"a\""]) && knows(&["\"b\"", "W/\"a\""]));
        assert!(!knows(&[]) && !knows(&["\"a\""]) && !knows(&["*"]));
    }
}
