use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;

use serde::Serialize;

/// A line of JSON, written member by member.
///
/// Their names are known to need no escapes, and neither do most values: to look at each as one that may is half of what a
/// line costs.
#[derive(Debug)]
pub(super) struct Object {
    /// Each member with its comma; the first one's makes way for the brace.
    bytes: Vec<u8>,
}

/// The name of a member; see [`name`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Name(pub(super) &'static str);

/// A name that needs no escapes, with all that stands between two values.
macro_rules! name {
    ($name:literal) => {
        $crate::telemetry::object::Name(concat!(",\"", $name, "\":"))
    };
}
pub(super) use name;

impl Object {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(512) }
    }

    /// Adds a member, if it has a value.
    pub(super) fn text(&mut self, name: Name, value: Option<&str>) {
        let Some(value) = value else { return };
        self.name(name);
        // Looking at all of them, and not only up to the first that is not, takes many at once.
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if !value.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            return self.value(value);
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'"');
    }

    /// As [`text`](Self::text), of what is shown so that it needs no escapes.
    pub(super) fn shown(&mut self, name: Name, value: Option<impl Display>) {
        let Some(value) = value else { return };
        self.name(name);
        // Nothing that is written to memory fails.
        let _ = write!(self.bytes, "\"{value}\"");
    }

    /// As [`shown`](Self::shown), which for addresses of four bytes takes as long as all the rest.
    pub(super) fn address(&mut self, name: Name, value: Option<IpAddr>) {
        let Some(IpAddr::V4(address)) = value else { return self.shown(name, value) };
        self.name(name);
        let mut before = b'"';
        for octet in address.octets() {
            self.bytes.push(before);
            self.value(&octet);
            before = b'.';
        }
        self.bytes.push(b'"');
    }

    pub(super) fn number(&mut self, name: Name, value: Option<impl Serialize>) {
        let Some(value) = value else { return };
        self.name(name);
        self.value(&value);
    }

    pub(super) fn into_line(mut self) -> Vec<u8> {
        if let Some(first) = self.bytes.first_mut() {
            *first = b'{';
        }
        self.bytes.extend_from_slice(b"}\n");
        self.bytes
    }

    fn name(&mut self, name: Name) {
        self.bytes.extend_from_slice(name.0.as_bytes());
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        // What is written to memory fails only for maps whose keys are no text.
        let _ = serde_json::to_writer(&mut self.bytes, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_value_is_a_reader_finds_it_again(
            text in any::<String>(), number in any::<u64>(), eighths in any::<u32>(), address in any::<IpAddr>(),
        ) {
            let fraction = f64::from(eighths) / 8.0;
            let mut object = Object::new();
            object.text(name!("text"), Some(&text));
            object.text(name!("none"), None);
            object.shown(name!("shown"), Some(number));
            object.address(name!("address"), Some(address));
            object.number(name!("number"), Some(number));
            object.number(name!("fraction"), Some(fraction));
            let line = object.into_line();

            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let read: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(read, json!({
                "text": text, "shown": number.to_string(), "address": address.to_string(), "number": number,
                "fraction": fraction,
            }));
        }
    }
}
