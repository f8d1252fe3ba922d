//! What vendors keep in `tracestate` (W3C Trace Context, §3.3), which goes on as it came, or not at all.

use http::header::{HeaderMap, HeaderValue};

use super::context::TRACESTATE;

/// The members of all lines as one line, if they make sense and are not too many.
pub(super) fn tracestate(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = Vec::new();
    let mut members = 0;
    for line in headers.get_all(TRACESTATE) {
        for member in line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // An empty one is allowed, and says nothing.
            if member.is_empty() {
                continue;
            }
            members += 1;
            if !is_member(member) || members > MOST || all.len() + 1 + member.len() > LONGEST {
                return None;
            }
            if !all.is_empty() {
                all.push(b',');
            }
            all.extend_from_slice(member);
        }
    }
    (!all.is_empty()).then(|| HeaderValue::from_bytes(&all).ok()).flatten()
}

/// A key, `=`, and a value.
fn is_member(member: &[u8]) -> bool {
    let Some(place) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (member.get(..place), member.get(place + 1..));
    key.is_some_and(is_key) && value.is_some_and(is_value)
}

/// What level 2 allows, §3.3.1.3.1: more than level 1 did.
fn is_key(key: &[u8]) -> bool {
    let begins = key.first().is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let goes_on = |it: &u8| {
        it.is_ascii_lowercase()
            || it.is_ascii_digit()
            || matches!(it, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    begins && key.len() <= 256 && key.iter().all(goes_on)
}

/// §3.3.1.3.2. No space is left at its end.
fn is_value(value: &[u8]) -> bool {
    let fits = |it: &u8| matches!(it, b' '..=b'~') && !matches!(it, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(fits)
}

/// §3.3.1.3.
const MOST: usize = 32;

/// In bytes: what has to be passed on, §3.3.1.5. What is longer is not.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACESTATE, line.parse().unwrap());
        }
        tracestate(&headers).map(|state| state.to_str().unwrap().to_owned())
    }

    #[test]
    fn members_of_several_lines_stay_in_their_order() {
        assert_eq!(of(&["a=1,,b@c=x y", "d/e=2 "]).as_deref(), Some("a=1,b@c=x y,d/e=2"));
        assert_eq!(of(&["", " , "]), None);
    }

    #[test]
    fn one_member_that_makes_no_sense_spoils_all() {
        for member in ["a", "=1", "a=", "A=1", "a=b=c", "_a=1", "a=\u{e4}", "a b=1"] {
            assert_eq!(of(&["good=1", member]), None, "{member}");
        }
    }

    #[test]
    fn what_is_too_much_is_not_passed_on() {
        let many = |count| (0..count).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert!(of(&[&many(32)]).is_some());
        assert_eq!(of(&[&many(33)]), None);

        let long = format!("a={}", "x".repeat(256));
        assert!(of(&[&long]).is_some());
        assert_eq!(of(&[&format!("{long}x")]), None);
        assert_eq!(of(&[&long, "b=1", &long]), None);
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_passed_on_again_as_it_is(line in "([a-z0-9@=, ]{0,8}[,=]){0,8}") {
            if let Some(state) = of(&[&line]) {
                prop_assert!(state.len() <= LONGEST);
                prop_assert_eq!(of(&[&state]), Some(state));
            }
        }
    }
}
