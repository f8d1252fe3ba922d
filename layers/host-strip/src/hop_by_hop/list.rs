use http::header::HeaderValue;

/// The elements of a comma-separated line, without blanks around them; empty ones are none (RFC 9110 §5.6.1).
pub(super) fn elements(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty())
}

/// `bytes` as text, if they are a token (RFC 9110 §5.6.2).
pub(super) fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().copied().all(is_tchar);
    if is_token { std::str::from_utf8(bytes).ok() } else { None }
}

const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    #[test]
    fn a_token_is_what_may_name_a_header() {
        for byte in 0..=u8::MAX {
            assert_eq!(token(&[byte]).is_some(), HeaderName::from_bytes(&[byte]).is_ok(), "{byte}");
        }
        assert_eq!(token(b""), None);
    }

    #[test]
    fn blanks_and_empty_elements_are_skipped() {
        let line = HeaderValue::from_static(" ,a ,\tb,, c");
        assert_eq!(elements(&line).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
