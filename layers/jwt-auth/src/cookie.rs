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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[String]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn left(lines: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut headers = headers(&lines);
        remove(&mut headers, "id");
        headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    fn found(line: &str) -> Result<Option<Vec<u8>>, Unauthorized> {
        find(&headers(&[line.to_owned()]), "id").map(|value| value.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_value_is_what_stands_behind_the_first_equals_sign() {
        assert_eq!(found("id=a"), Ok(Some(b"a".to_vec())));
        assert_eq!(found("x=1;id=a=b==; y=2"), Ok(Some(b"a=b==".to_vec())));
        assert_eq!(found("id=\"a\""), Ok(Some(b"a".to_vec())));
        assert_eq!(found(" id = a "), Ok(Some(b"a".to_vec())));
        for none in ["", "id", "id=", "id=\"\"", "ID=a", "xid=a", "id2=a", "x=id=a"] {
            assert_eq!(found(none), Ok(None), "{none}");
        }
        for twice in ["id=a; id=b", "id=; id=a", "id=a; id=a"] {
            assert_eq!(found(twice), Err(Unauthorized::AmbiguousToken), "{twice}");
        }
    }

    #[test]
    fn what_is_not_the_cookie_stays_to_the_byte() {
        assert_eq!(left(&["a=1; id=x; b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["id=x; a=1"]), ["a=1"]);
        assert_eq!(left(&["a=1;id=x;b=2"]), ["a=1;b=2"]);
        assert_eq!(left(&["id=x; id=y"]), [""; 0]);
        assert_eq!(left(&["id=x", "a=1;  b = \"2\";"]), ["a=1;  b = \"2\";"]);
        assert_eq!(left(&["id; ID=1; x=id=1"]), ["id; ID=1; x=id=1"]);
        assert_eq!(left(&["id=x", " a=1"]), [" a=1"]);
    }

    #[test]
    fn a_sensitive_line_stays_one() {
        let mut line = HeaderValue::from_static("a=1; id=x");
        line.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(COOKIE, line)]);

        remove(&mut headers, "id");
        assert!(headers[COOKIE].is_sensitive());
    }

    proptest! {
        #[test]
        fn removal_is_filtering(
            lines in prop::collection::vec(
                prop::collection::vec(("a|id|ID|x id|", "[a-c\"=]{0,3}"), 1..5), 0..4),
        ) {
            let join = |pairs: Vec<&(String, String)>| {
                let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                pairs.join("; ")
            };
            let written: Vec<_> = lines.iter().map(|pairs| join(pairs.iter().collect())).collect();
            let expected: Vec<_> = lines
                .iter()
                .map(|pairs| join(pairs.iter().filter(|(name, _)| name != "id").collect()))
                .filter(|line| !line.is_empty())
                .collect();

            let mut headers = headers(&written);
            remove(&mut headers, "id");

            let left: Vec<_> = headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
            prop_assert_eq!(left, expected);
            prop_assert_eq!(find(&headers, "id"), Ok(None));
        }

        #[test]
        fn bytes_that_are_no_text_do_no_harm(line in prop::collection::vec(0x20_u8..=0xff, 0..40)) {
            let mut headers = HeaderMap::new();
            if let Ok(line) = HeaderValue::from_bytes(&[&line[..], b";id=x"].concat()) {
                headers.insert(COOKIE, line);
            }
            remove(&mut headers, "id");
            prop_assert_eq!(find(&headers, "id"), Ok(None));
        }
    }
}
