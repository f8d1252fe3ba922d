//! Percent-encoding by the rules of AWS: all but the unreserved characters of RFC 3986 §2.3, in upper-case hex.

/// Which bytes stand for themselves.
pub(crate) type Keep = fn(u8) -> bool;

pub(crate) const fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(crate) const fn unreserved_or_slash(byte: u8) -> bool {
    unreserved(byte) || byte == b'/'
}

/// What a path may hold as it is, escapes included (RFC 3986 §3.3).
pub(crate) const fn of_a_path(byte: u8) -> bool {
    unreserved_or_slash(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',')
        || matches!(byte, b';' | b'=' | b':' | b'@' | b'%')
}

/// Whether each `%` begins an escape.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let mut escapes = text.split('%');
    escapes.next();
    escapes.all(|rest| matches!(rest.as_bytes(), [high, low, ..] if value(*high, *low).is_some()))
}

/// Whether decoding `text` and encoding it again changes nothing.
pub(crate) fn is_canonical(text: &str, keep: Keep) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let canonical = match byte {
            b'%' => match (bytes.next(), bytes.next()) {
                (Some(high), Some(low)) => {
                    !high.is_ascii_lowercase()
                        && !low.is_ascii_lowercase()
                        && value(high, low).is_some_and(|byte| !keep(byte))
                }
                _ => false,
            },
            _ => keep(byte),
        };
        if !canonical {
            return false;
        }
    }
    true
}

/// Decodes well-formed `text`; what follows a malformed escape is lost.
pub(crate) fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => (value(*high, *low)?, after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

/// Encodes `bytes` onto the end of `out`.
pub(crate) fn encode(bytes: impl Iterator<Item = u8>, keep: Keep, out: &mut String) {
    for byte in bytes {
        if byte.is_ascii() && keep(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(escape(byte).map(char::from));
        }
    }
}

/// `%` and two digits.
pub(crate) const fn escape(byte: u8) -> [u8; 3] {
    [b'%', digit(byte >> 4, b'A'), digit(byte & 15, b'A')]
}

/// `bytes` in lower-case hex.
pub(crate) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4, b'a'), digit(byte & 15, b'a')]);
    }
    text
}

/// What `text` stands for, if it is 64 digits in lower-case hex.
pub(crate) fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let [high, low] = pair else { return None };
        *byte = value(*high, *low)?;
    }
    (hex(&bytes) == *text).then_some(bytes)
}

const fn digit(nibble: u8, ten: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { ten + (nibble - 10) }
}

fn value(high: u8, low: u8) -> Option<u8> {
    let nibble = |digit| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(nibble(high)? << 4 | nibble(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recoded(text: &str, keep: Keep) -> String {
        let mut out = String::new();
        encode(decoded(text), keep, &mut out);
        out
    }

    #[test]
    fn every_byte_outside_the_unreserved_is_escaped_in_upper_case() {
        assert_eq!(recoded("aZ9-._~ +*'é%2f%7e", unreserved), "aZ9-._~%20%2B%2A%27%C3%A9%2F~");
    }

    #[test]
    fn an_escape_needs_two_digits() {
        for text in ["%", "%4", "a%zz", "%4g", "%%41", "%é"] {
            assert!(!is_well_formed(text), "{text}");
        }
        assert!(is_well_formed("a%41%C3%a9"));
    }

    #[test]
    fn hex_is_lower_case() {
        assert!(hex(&[0xaf; 32]).starts_with(b"afaf"));
    }

    proptest! {
        #[test]
        fn encoding_twice_is_encoding_once(text in "([a-z/+ é~]|%[0-9a-fA-F]{2}){0,20}") {
            for keep in [unreserved, unreserved_or_slash] {
                let once = recoded(&text, keep);
                prop_assert_eq!(&recoded(&once, keep), &once);
                prop_assert!(is_canonical(&once, keep));
                prop_assert_eq!(is_canonical(&text, keep), text == once);
                prop_assert!(decoded(&text).eq(decoded(&once)));
            }
        }

        #[test]
        fn what_is_malformed_is_never_canonical(text in "[a-f0-9%/]{0,12}") {
            prop_assert!(is_well_formed(&text) || !is_canonical(&text, unreserved_or_slash));
        }
    }
}
