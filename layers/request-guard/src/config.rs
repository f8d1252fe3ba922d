//! What is more than a number or a list, as a configuration file has it.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use http::{HeaderName, Method};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::{HostPattern, MediaRange, Paths};

pub(crate) fn hosts<'de, D: Deserializer<'de>>(input: D) -> Result<Box<[HostPattern]>, D::Error> {
    texts(input, |text| HostPattern::from_str(text).map_err(|error| error.to_string()))
}

pub(crate) fn content_types<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Box<[MediaRange]>, D::Error> {
    texts(input, |text| MediaRange::from_str(text).map_err(|error| error.to_string()))
}

/// Methods differ in case (RFC 9110 §9.1), and `get` would allow what no client sends.
pub(crate) fn methods<'de, D: Deserializer<'de>>(input: D) -> Result<Box<[Method]>, D::Error> {
    texts(input, |text| match Method::from_str(text) {
        Ok(method) if text == text.to_ascii_uppercase() => Ok(method),
        _ => Err("a method is needed, like \"GET\"".to_owned()),
    })
}

pub(crate) fn headers<'de, D: Deserializer<'de>>(input: D) -> Result<Box<[HeaderName]>, D::Error> {
    texts(input, |text| {
        HeaderName::from_str(text)
            .map_err(|_| "the name of a header is needed, like \"x-api-version\"".to_owned())
    })
}

/// A list that asks for something.
fn texts<'de, D: Deserializer<'de>, T>(
    input: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Box<[T]>, D::Error> {
    input.deserialize_seq(Texts { parse, items: PhantomData })
}

struct Texts<T> {
    parse: fn(&str) -> Result<T, String>,
    items: PhantomData<T>,
}

impl<'de, T> Visitor<'de> for Texts<T> {
    type Value = Box<[T]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts, with one at least")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Box<[T]>, A::Error> {
        let mut items = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            items.push((self.parse)(&text).map_err(A::Error::custom)?);
        }
        if items.is_empty() {
            return Err(A::Error::custom("the list has one item at least; left out, any will do"));
        }
        Ok(items.into())
    }
}

pub(crate) fn paths<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Paths>, D::Error> {
    input.deserialize_any(PathsByName).map(Some)
}

struct PathsByName;

impl<'de> Visitor<'de> for PathsByName {
    type Value = Paths;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"default\", \"strict\", \"s3\", or a table")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Paths, E> {
        match name {
            "default" => Ok(Paths::new()),
            "strict" => Ok(Paths::strict()),
            "s3" => Ok(Paths::s3()),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Paths, A::Error> {
        Paths::deserialize(MapAccessDeserializer::new(table))
    }
}

fn size<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    input.deserialize_any(Size)
}

pub(crate) fn some_size<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    size(input).map(Some)
}

struct Size;

impl Visitor<'_> for Size {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or text with B, KiB, MiB or GiB, as in \"10MiB\"")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// `KB` and `MB` are left out: half of their readers take them for powers of ten.
fn parse(text: &str) -> Option<u64> {
    let (number, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
