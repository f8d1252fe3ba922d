use std::time::SystemTime;

use http::HeaderValue;

use super::{Context, SpanId};

/// Something that took time, as it is told to a collector.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "otlp"),
    expect(dead_code, reason = "nobody is told of spans without the feature, and so none is made")
)]
pub(crate) struct Span {
    /// The trace, and the span's own id.
    pub(crate) context: Context,
    pub(crate) parent: Option<Parent>,
    pub(crate) link: Option<Context>,
    /// What vendors keep of the trace.
    pub(crate) state: Option<HeaderValue>,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did; maybe in no words.
    pub(crate) failed: Option<String>,
}

/// The span that another is part of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Parent {
    pub(crate) span: SpanId,
    /// Whether it is somebody else's.
    pub(crate) is_remote: bool,
}

/// Which side of an exchange a span is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Server,
    Client,
}

/// What an attribute says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let end = text.floor_char_boundary(LONGEST);
        Self::Text(text.get(..end).unwrap_or_default().to_owned())
    }
}

impl From<String> for Value {
    fn from(mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(LONGEST));
        Self::Text(text)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// In bytes: what a client sends must not fill the memory.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_off_between_two_characters() {
        let long = "\u{e4}".repeat(LONGEST);
        let cut = Value::Text("\u{e4}".repeat(LONGEST / 2));
        assert_eq!((Value::from(&*long), Value::from(long)), (cut.clone(), cut));

        let odd = format!("a{}", "\u{e4}".repeat(LONGEST));
        assert_eq!(Value::from(odd), Value::Text(format!("a{}", "\u{e4}".repeat(LONGEST / 2 - 1))));
    }
}
