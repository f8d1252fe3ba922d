use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Version;
use http::header::{Entry, HeaderMap, HeaderValue, VIA};

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
    /// Whether a line of `Via` says that a request has been here before.
    fn is_in(&self, line: &HeaderValue) -> bool {
        let mut hops = line.to_str().unwrap_or_default().split(',');
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
    fn of(&self, version: Version) -> Option<&HeaderValue> {
        let hop = match version {
            Version::HTTP_09 => &self.http_09,
            Version::HTTP_10 => &self.http_10,
            Version::HTTP_2 => &self.http_2,
            Version::HTTP_3 => &self.http_3,
            _ => &self.http_11,
        };
        hop.as_ref()
    }
}

impl Pseudonym {
    /// Adds this hop, one of `hops`, to those before it; false if it is among them.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, hops: &Hops, version: Version) -> bool {
        match headers.try_entry(VIA) {
            Ok(Entry::Vacant(entry)) => {
                if let Some(hop) = hops.of(version) {
                    // The limit of a header map is not worth a panic.
                    let _ = entry.try_insert(hop.clone());
                }
                true
            }
            Ok(Entry::Occupied(mut entry)) => {
                if entry.iter().any(|line| self.is_in(line)) {
                    return false;
                }
                if let Some(hop) = hops.of(version) {
                    entry.append(hop.clone());
                }
                true
            }
            // A map that is full takes no more, and may say all the same that the request has been here.
            Err(_) => !headers.get_all(VIA).iter().any(|line| self.is_in(line)),
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
