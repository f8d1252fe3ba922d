use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::{Path, Segment};
use crate::config::nearest;

/// What a type says of a value that it cannot be made of, and where that is.
#[derive(Debug)]
pub(in crate::config) struct Error {
    pub(in crate::config) kind: Kind,
    /// From the value upwards.
    steps: Vec<Segment>,
}

#[derive(Debug)]
pub(in crate::config) enum Kind {
    Unknown { key: String, known: &'static [&'static str] },
    Missing(&'static str),
    Wrong(String),
}

impl Error {
    /// This error, one step further away from where it came up.
    pub(super) fn below(mut self, segment: Segment) -> Self {
        self.steps.push(segment);
        self
    }

    pub(in crate::config) fn path(&self) -> Path {
        Path::upwards(self.steps.clone())
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind, steps: Vec::new() }
    }
}

/// No value is ever quoted: it may be a secret that stands in the wrong place.
impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Kind::Wrong(message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {}", wanted(expected), kind(&found)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}", wanted(expected)))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}", wanted(expected)))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let list = list(known);
        match nearest(found, known.iter().copied()) {
            Some(near) => Self::custom(format_args!("expected {list}; did you mean `{near}`?")),
            None => Self::custom(format_args!("expected {list}")),
        }
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Kind::Unknown { key: found.to_owned(), known }.into()
    }

    fn missing_field(key: &'static str) -> Self {
        Kind::Missing(key).into()
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::custom(format_args!("`{key}` stands here under another name, too"))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unknown { key, known } => match nearest(key, known.iter().copied()) {
                Some(near) => write!(f, "unknown key `{key}`; did you mean `{near}`?"),
                None => write!(f, "unknown key `{key}`, expected {}", list(known)),
            },
            Kind::Missing(key) => write!(f, "missing key `{key}`"),
            Kind::Wrong(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

pub(super) fn list(known: &[&str]) -> String {
    match known {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        many => format!("one of `{}`", many.join("`, `")),
    }
}

fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a truth value",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a point",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a text",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::StructVariant => "a table",
        Unexpected::Unit | Unexpected::Option => "nothing",
        _ => "something else",
    }
}

/// What a type expects, without the words of the program for it.
fn wanted(expected: &dyn Expected) -> String {
    let said = expected.to_string();
    let number = |least: u8, most: u128| format!("a whole number from {least} to {most}");
    let (least, bare) = match said.strip_prefix("a nonzero ") {
        Some(bare) => (1, bare),
        None => (0, said.as_str()),
    };
    match bare {
        "u8" => number(least, u8::MAX.into()),
        "u16" => number(least, u16::MAX.into()),
        "u32" => number(least, u32::MAX.into()),
        "u64" | "usize" => format!("a whole number of at least {least}"),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ if said.starts_with("struct ") => "a table".to_owned(),
        _ => said,
    }
}
