//! What a client asked for.

use http::header::HeaderValue;
use http::uri::Authority;

/// A host without userinfo, perhaps with a port.
#[derive(Clone, Debug)]
pub(crate) enum Host {
    /// A line of `Host` that is a name, and its port: it can be passed on without being parsed, as most are.
    Plain(HeaderValue, Option<u16>),
    Parsed(Authority),
}

impl Host {
    pub(crate) fn of_line(line: &HeaderValue) -> Option<Self> {
        match plain(line.as_bytes()) {
            Some(port) => Some(Self::Plain(line.clone(), port)),
            None => Self::parse(line.to_str().ok()?),
        }
    }

    pub(crate) fn of_authority(authority: &Authority) -> Option<Self> {
        match authority.as_str().rsplit_once('@') {
            None => Some(Self::Parsed(authority.clone())),
            // Userinfo may be a password.
            Some((_, bare)) => Self::parse(bare),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|_| !text.contains('@')).map(Self::Parsed)
    }

    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Plain(_, port) => *port,
            Self::Parsed(authority) => authority.port_u16(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Plain(line, _) => line.to_str().unwrap_or_default(),
            Self::Parsed(authority) => authority.as_str(),
        }
    }

    pub(crate) fn to_authority(&self) -> Option<Authority> {
        match self {
            Self::Plain(line, _) => line.as_bytes().try_into().ok(),
            Self::Parsed(authority) => Some(authority.clone()),
        }
    }

    pub(crate) fn to_value(&self) -> Option<HeaderValue> {
        match self {
            Self::Plain(line, _) => Some(line.clone()),
            Self::Parsed(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        }
    }
}

/// The port, if there is one, of what is a name beyond all doubt.
fn plain(line: &[u8]) -> Option<Option<u16>> {
    let end = line.iter().position(|byte| !is_of_name(*byte)).unwrap_or(line.len());
    match line.split_at_checked(end)? {
        ([], _) => None,
        (_, []) => Some(None),
        (_, [b':', digits @ ..]) => parse_port(digits).map(Some),
        _ => None,
    }
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    let add = |port: u16, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        port.checked_mul(10)?.checked_add(digit.into())
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_says_what_the_authority_of_the_same_text_says(
            line in "[a-zA-Z0-9._~%@:\\[\\]!-]{0,12}(:[0-9]{0,6})?",
        ) {
            let parsed: Option<Authority> = line.parse().ok();
            let parsed = parsed.filter(|_| !line.contains('@'));
            let value = HeaderValue::from_str(&line).unwrap();
            let host = Host::of_line(&value);

            prop_assert_eq!(host.as_ref().map(Host::as_str), parsed.as_ref().map(Authority::as_str));
            let port = parsed.as_ref().and_then(Authority::port_u16);
            prop_assert_eq!(host.as_ref().and_then(Host::port), port);
            prop_assert_eq!(host.as_ref().and_then(Host::to_authority), parsed);
            prop_assert!(host.is_none_or(|host| host.to_value() == Some(value)));
        }
    }

    #[test]
    fn a_name_is_not_parsed_and_all_else_is() {
        let is_plain = |line| plain(str::as_bytes(line)).is_some();
        assert!(
            ["app.example", "a_b-c", "127.0.0.1:8080", "app.example:65535"].map(is_plain)
                == [true; 4]
        );
        assert!(
            ["", ":80", "a:", "a:65536", "a:8b", "a:!", "[::1]", "a@b", "a%20"].map(is_plain)
                == [false; 9]
        );
    }
}
