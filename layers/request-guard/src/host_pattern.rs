use std::fmt;
use std::str::FromStr;

/// A host that requests may be for: one name or address, or with `*.` in front all names below one.
///
/// Names are the same in any case, and with or without a dot at their end. `*.example.com` stands for one label or more,
/// so `example.com` itself is not among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPattern {
    name: Box<str>,
    is_wildcard: bool,
}

/// The text is no [`HostPattern`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidHost;

impl HostPattern {
    /// Whether `host` is meant, a name or an address without port and brackets.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if !self.is_wildcard {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let start = host.len().checked_sub(self.name.len());
        let Some((labels, name)) = start.and_then(|start| host.split_at_checked(start)) else {
            return false;
        };
        let labels = labels.strip_suffix('.');
        labels.is_some_and(|labels| !labels.is_empty()) && name.eq_ignore_ascii_case(&self.name)
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_name = |name: &str| {
            name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_name))
        };
        let is_address = |name: &str| name.parse::<std::net::Ipv6Addr>().is_ok();
        match (below, address) {
            (None, Some(address)) if is_address(address) => {
                Ok(Self { name: address.into(), is_wildcard: false })
            }
            (below, None) if is_name(name) => {
                Ok(Self { name: name.into(), is_wildcard: below.is_some() })
            }
            _ => Err(InvalidHost),
        }
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host without its port is needed, like \"example.com\", \"*.example.com\" or \"[::1]\"")
    }
}

impl std::error::Error for InvalidHost {}
