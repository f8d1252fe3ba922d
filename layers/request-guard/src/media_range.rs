use std::fmt;
use std::str::FromStr;

/// What a body may be: a type like `application/json`, or `image/*`, `application/*+json`, `*/*`.
///
/// Parameters such as a `charset` are not looked at, and types are the same in any case (RFC 9110 §8.3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaRange {
    kind: Box<str>,
    subtype: Box<str>,
}

/// The text is no [`MediaRange`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidMediaRange;

impl MediaRange {
    /// Whether the value of a `Content-Type` is meant.
    #[must_use]
    pub fn matches(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let Some((kind, subtype)) = essence.split_once('/') else { return false };
        if !is_token(kind) || !is_token(subtype) {
            return false;
        }
        let is_kind = &*self.kind == "*" || kind.eq_ignore_ascii_case(&self.kind);
        is_kind
            && match self.subtype.strip_prefix('*') {
                Some("") => true,
                Some(suffix) => {
                    let start = subtype.len().checked_sub(suffix.len());
                    let end = start.and_then(|start| subtype.get(start..));
                    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
                }
                None => subtype.eq_ignore_ascii_case(&self.subtype),
            }
    }
}

impl FromStr for MediaRange {
    type Err = InvalidMediaRange;

    fn from_str(text: &str) -> Result<Self, InvalidMediaRange> {
        let (kind, subtype) = text.split_once('/').ok_or(InvalidMediaRange)?;
        let is_kind = is_token(kind) && (kind == "*" || !kind.contains('*'));
        let is_subtype = match subtype.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => suffix.len() > 1 && suffix.starts_with('+') && is_token(suffix),
            None => is_token(subtype),
        };
        let stars = subtype.matches('*').count();
        let is_any = kind != "*" || subtype == "*";
        if is_kind && is_subtype && stars <= 1 && is_any && (stars == 0 || subtype.starts_with('*'))
        {
            Ok(Self { kind: kind.into(), subtype: subtype.into() })
        } else {
            Err(InvalidMediaRange)
        }
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(known)
}

impl fmt::Display for InvalidMediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a media type is needed, like \"application/json\", \"image/*\" or \"application/*+json\"")
    }
}

impl std::error::Error for InvalidMediaRange {}
