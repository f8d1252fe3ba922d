use std::net::Ipv6Addr;

use super::AmbiguousHost;

/// A host with or without a port, so that two ways of writing one name can be seen to be one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    host: Host<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Host<'a> {
    /// A name or an address of IPv4, without the dot of the root.
    Text(&'a [u8]),
    Literal(Ipv6Addr),
}

impl<'a> Name<'a> {
    /// Reads `text`, of which nothing but a host and a port is one (RFC 9110 §7.2).
    ///
    /// It is stricter than RFC 3986 §3.2.2: no name that is in use has a comma, a percent sign or the like, and what two
    /// servers could read differently is not worth the doubt.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, AmbiguousHost> {
        // Most are a name, perhaps with a port, which one pass tells.
        if let Some(plain) = Self::plain(text) {
            return Ok(plain);
        }
        if text.contains(&b'@') {
            return Err(AmbiguousHost::Userinfo);
        }
        let end = match text.first() {
            Some(b'[') => text.iter().position(|&byte| byte == b']').map(|last| last + 1),
            _ => text.iter().position(|&byte| byte == b':').or(Some(text.len())),
        };
        let (host, port) =
            end.and_then(|end| text.split_at_checked(end)).ok_or(AmbiguousHost::Malformed)?;
        Ok(Self { host: Host::parse(host)?, port: parse_port(port)? })
    }

    fn plain(text: &'a [u8]) -> Option<Self> {
        let (host, port) = text.split_at_checked(name_length(text)?)?;
        let host = Some(host).filter(|host| !host.is_empty())?;
        Some(Self { host: Host::unrooted(host), port: parse_port(port).ok()? })
    }

    /// Whether both are the same, `default` being the port that is meant where there is none. Where not even that is known,
    /// no port agrees with any.
    pub(super) fn is(&self, other: &Self, default: Option<u16>) -> bool {
        let ports = (self.port.or(default), other.port.or(default));
        let same_port = if let (Some(one), Some(other)) = ports { one == other } else { true };
        same_port && self.host.is(&other.host)
    }
}

impl<'a> Host<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, AmbiguousHost> {
        if let Some(literal) = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")) {
            let literal = std::str::from_utf8(literal).ok().and_then(|text| text.parse().ok());
            return literal.map(Self::Literal).ok_or(AmbiguousHost::Malformed);
        }
        if matches!(text, b"" | b".") {
            return Err(AmbiguousHost::Empty);
        }
        Self::name(text).ok_or(AmbiguousHost::Malformed)
    }

    fn name(text: &'a [u8]) -> Option<Self> {
        let is_name = !text.is_empty() && name_length(text) == Some(text.len());
        is_name.then(|| Self::unrooted(text))
    }

    fn unrooted(name: &'a [u8]) -> Self {
        Self::Text(name.strip_suffix(b".").unwrap_or(name))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.eq_ignore_ascii_case(other),
            (Self::Literal(one), Self::Literal(other)) => one == other,
            _ => false,
        }
    }
}

/// The port after its colon; none may follow (RFC 3986 §3.2.3).
fn parse_port(text: &[u8]) -> Result<Option<u16>, AmbiguousHost> {
    match text.strip_prefix(b":") {
        None if text.is_empty() => Ok(None),
        Some([]) => Ok(None),
        Some(digits) => {
            let add = |port: u16, digit: &u8| {
                let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
                port.checked_mul(10)?.checked_add(digit.into())
            };
            digits.iter().try_fold(0, add).map(Some).ok_or(AmbiguousHost::Malformed)
        }
        None => Err(AmbiguousHost::Malformed),
    }
}

/// How many bytes at the beginning are labels with dots between them, and perhaps one at the end; none if a label is empty.
fn name_length(text: &[u8]) -> Option<usize> {
    // No dot is the first, and none follows another.
    let mut before = Class::Dot;
    for (index, byte) in text.iter().enumerate() {
        let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or(Class::Other);
        match class {
            Class::Other => return Some(index),
            Class::Dot if before == Class::Dot => return None,
            Class::Dot | Class::Label => before = class,
        }
    }
    Some(text.len())
}

/// What a byte is in a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Label,
    Dot,
    Other,
}

/// By the value of the byte: to look it up takes less than to compare.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut rest: &mut [Class] = &mut classes;
    let mut byte = 0_u8;
    while let [class, after @ ..] = rest {
        *class = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Label,
            b'.' => Class::Dot,
            _ => Class::Other,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    classes
};
