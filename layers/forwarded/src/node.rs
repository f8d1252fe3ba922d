//! Who is named in a header: RFC 7239 §6, and what `X-Forwarded-For` has instead.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One hop, as a header names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is known or it is not")]
pub enum Node {
    /// An address, and a port if there is one; an IPv4 address that is mapped into IPv6 is itself.
    Address(IpAddr, Option<u16>),
    /// `unknown`, something obfuscated, or nothing that makes sense.
    Unknown,
}

impl Node {
    /// As `Forwarded` has it, without quotes: an IPv6 address stands in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::address(text, false).unwrap_or(Self::Unknown)
    }

    /// As `X-Forwarded-For` has it: an IPv6 address may come without brackets.
    #[must_use]
    pub fn parse_lenient(text: &str) -> Self {
        Self::address(text, true).unwrap_or(Self::Unknown)
    }

    fn address(text: &str, lenient: bool) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let address = IpAddr::V6(address).to_canonical();
            let port = if rest.is_empty() { None } else { port(rest.strip_prefix(':')?) };
            // A port may be obfuscated, and says little anyway.
            return Some(Self::Address(address, port));
        }
        if lenient {
            if let Ok(address) = text.parse::<Ipv6Addr>() {
                return Some(Self::Address(IpAddr::V6(address).to_canonical(), None));
            }
        }
        let (address, port) = match text.split_once(':') {
            Some((address, digits)) => (address, port(digits)),
            None => (text, None),
        };
        let address: Ipv4Addr = address.parse().ok()?;
        Some(Self::Address(address.into(), port))
    }
}

pub(crate) fn port(digits: &str) -> Option<u16> {
    let digits = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
    digits.parse().ok()
}

/// As `Forwarded` has it, without quotes.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Address(IpAddr::V4(address), port) => {
                write!(f, "{address}")?;
                port
            }
            Self::Address(IpAddr::V6(address), port) => {
                write!(f, "[{address}]")?;
                port
            }
            Self::Unknown => return f.write_str("unknown"),
        };
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
