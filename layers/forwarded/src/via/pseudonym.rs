use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Version;
use http::header::{HeaderMap, HeaderValue, VIA};

use crate::element::is_token;

/// By what name a proxy is known in `Via`: a token (RFC 9110 §7.6.3), as `gateway-1`.
///
/// With the `serde` feature it is read from a text. A clone shares its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "String"))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct Pseudonym(Arc<str>);

/// Says that a name is none for `Via`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidPseudonym;

impl Pseudonym {
    /// Whether a request has been here before.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
        let mut hops = lines.flat_map(|line| line.split(','));
        // The protocol, by whom it was received, and a comment, perhaps.
        hops.any(|hop| {
            let by = hop.split_ascii_whitespace().nth(1);
            by.is_some_and(|by| by.eq_ignore_ascii_case(&self.0))
        })
    }

    pub(super) fn hops(&self) -> Hops {
        let hop = |protocol| HeaderValue::try_from(format!("{protocol} {}", self.0)).ok();
        Hops {
            http_09: hop("0.9"),
            http_10: hop("1.0"),
            http_11: hop("1.1"),
            http_2: hop("2"),
            http_3: hop("3"),
        }
    }
}

/// What this hop is in `Via`, by the version of the request.
#[derive(Debug)]
pub(super) struct Hops {
    http_09: Option<HeaderValue>,
    http_10: Option<HeaderValue>,
    http_11: Option<HeaderValue>,
    http_2: Option<HeaderValue>,
    http_3: Option<HeaderValue>,
}

impl Hops {
    /// Adds this hop to those before it.
    pub(super) fn add_to(&self, version: Version, headers: &mut HeaderMap) {
        let hop = match version {
            Version::HTTP_09 => &self.http_09,
            Version::HTTP_10 => &self.http_10,
            Version::HTTP_2 => &self.http_2,
            Version::HTTP_3 => &self.http_3,
            _ => &self.http_11,
        };
        if let Some(hop) = hop {
            // The limit of a header map is not worth a panic.
            let _ = headers.try_append(VIA, hop.clone());
        }
    }
}

impl FromStr for Pseudonym {
    type Err = InvalidPseudonym;

    fn from_str(name: &str) -> Result<Self, InvalidPseudonym> {
        let token = !name.is_empty() && name.bytes().all(is_token);
        if token { Ok(Self(name.into())) } else { Err(InvalidPseudonym) }
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = InvalidPseudonym;

    fn try_from(name: String) -> Result<Self, InvalidPseudonym> {
        name.parse()
    }
}

impl fmt::Display for InvalidPseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name in Via has letters, digits and a few signs, but no space")
    }
}

impl Error for InvalidPseudonym {}
