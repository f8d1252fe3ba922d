use std::str::FromStr;

use http::header::{HeaderName, HeaderValue};

use super::InvalidCondition;

/// The type of some content, without parameters: `text/html`, or all that begin alike, as `text/*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaType {
    /// In lower case; with the slash and nothing after it, all that begin alike.
    text: Box<str>,
}

impl MediaType {
    pub(super) fn is(&self, content_type: &HeaderValue) -> bool {
        let known = self.text.as_bytes();
        let bare = content_type.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        let bare = bare.trim_ascii();
        let length = if known.ends_with(b"/") { known.len() } else { known.len().max(bare.len()) };
        bare.get(..length).is_some_and(|bare| bare.eq_ignore_ascii_case(known))
    }
}

impl FromStr for MediaType {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        let (kind, subtype) = text.split_once('/').ok_or(InvalidCondition::MediaType)?;
        // Both are tokens, as the name of a header is (RFC 9110 §8.3.1).
        let is_token = |text: &str| HeaderName::from_bytes(text.as_bytes()).is_ok();
        if !is_token(kind) || !is_token(subtype) || kind.contains('*') {
            return Err(InvalidCondition::MediaType);
        }
        let text = if subtype == "*" { format!("{kind}/") } else { text.to_owned() };
        Ok(Self { text: text.to_ascii_lowercase().into() })
    }
}
