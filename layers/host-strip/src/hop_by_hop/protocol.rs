use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::header::HeaderValue;

use super::list::token;

/// A protocol to upgrade to: a name, perhaps with a version (RFC 9110 §7.8).
///
/// It is never HTTP itself (`h2c`, `h2`, `HTTP/2.0`): requests inside such a tunnel would go around the proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct Protocol(HeaderValue);

impl Protocol {
    /// `websocket` (RFC 6455).
    pub const WEBSOCKET: Self = Self(HeaderValue::from_static("websocket"));

    /// Whether `offered` is a protocol that may be upgraded to.
    pub(super) fn may_be(offered: &[u8]) -> bool {
        let mut parts = offered.splitn(2, |&byte| byte == b'/');
        let name = parts.next().and_then(token);
        let version_is_token = parts.next().is_none_or(|version| token(version).is_some());

        version_is_token
            && name.is_some_and(|name| !HTTP.iter().any(|http| name.eq_ignore_ascii_case(http)))
    }

    pub(super) fn is(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(offered)
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl FromStr for Protocol {
    type Err = InvalidProtocol;

    fn from_str(text: &str) -> Result<Self, InvalidProtocol> {
        let value = Self::may_be(text.as_bytes()).then(|| HeaderValue::from_str(text).ok());
        value.flatten().map(Self).ok_or(InvalidProtocol)
    }
}

impl TryFrom<String> for Protocol {
    type Error = InvalidProtocol;

    fn try_from(text: String) -> Result<Self, InvalidProtocol> {
        text.parse()
    }
}

/// The text is no protocol that may be upgraded to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidProtocol;

impl fmt::Display for InvalidProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a protocol to upgrade to: `name` or `name/version`, and not HTTP itself")
    }
}

impl Error for InvalidProtocol {}

const HTTP: [&str; 4] = ["h2c", "h2", "h3", "http"];
