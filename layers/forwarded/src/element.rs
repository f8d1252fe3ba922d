//! The `Forwarded` header: RFC 7239 §4.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::Node;

/// What one proxy says: an element of a `Forwarded` header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    node: Option<Node>,
    host: Option<Cow<'a, str>>,
    proto: Option<Cow<'a, str>>,
}

/// Says that a line is no `Forwarded` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidForwarded;

impl<'a> Element<'a> {
    /// Reads a line of the header: elements from the first proxy to the last. Empty ones are left out.
    ///
    /// # Errors
    ///
    /// When the line does not keep to the grammar, names a parameter twice in an element, or has more than 64 elements. No
    /// part of such a line is to be believed: an open quote swallows what proxies have added to it.
    pub fn parse_line(line: &'a str) -> Result<Vec<Self>, InvalidForwarded> {
        let mut rest = Rest(line);
        let mut elements = Vec::new();
        loop {
            if let Some(element) = rest.element()? {
                elements.push(element);
            }
            rest.skip_spaces();
            match rest.byte() {
                None => return Ok(elements),
                Some(b',') if elements.len() < MOST_ELEMENTS => rest.skip(1),
                Some(_) => return Err(InvalidForwarded),
            }
        }
    }

    /// One that says nothing.
    pub(crate) const fn unknown() -> Self {
        Self { node: Some(Node::Unknown), host: None, proto: None }
    }

    /// Whom the proxy had the request from: `for`.
    #[must_use]
    pub const fn node(&self) -> Option<Node> {
        self.node
    }

    /// The `Host` that it was asked for.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The protocol that it was asked by: `http` or `https`.
    #[must_use]
    pub fn proto(&self) -> Option<&str> {
        self.proto.as_deref()
    }
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn element(&mut self) -> Result<Option<Element<'a>>, InvalidForwarded> {
        let mut element = Element { node: None, host: None, proto: None };
        let mut by = false;
        let mut others = Vec::new();
        let mut any = false;
        loop {
            self.skip_spaces();
            if self.byte().is_some_and(is_token) {
                any = true;
                let name = self.token();
                // RFC 7239 §4: no space around the equals sign.
                if self.byte() != Some(b'=') {
                    return Err(InvalidForwarded);
                }
                self.skip(1);
                let value = self.value()?;
                let twice = if name.eq_ignore_ascii_case("for") {
                    element.node.replace(Node::parse(&value)).is_some()
                } else if name.eq_ignore_ascii_case("host") {
                    element.host.replace(value).is_some()
                } else if name.eq_ignore_ascii_case("proto") {
                    element.proto.replace(value).is_some()
                } else if name.eq_ignore_ascii_case("by") {
                    std::mem::replace(&mut by, true)
                } else {
                    let twice = others.iter().any(|other: &&str| other.eq_ignore_ascii_case(name));
                    others.push(name);
                    twice || others.len() > MOST_OTHERS
                };
                if twice {
                    return Err(InvalidForwarded);
                }
            }
            self.skip_spaces();
            if self.byte() != Some(b';') {
                return Ok(any.then_some(element));
            }
            self.skip(1);
        }
    }

    fn value(&mut self) -> Result<Cow<'a, str>, InvalidForwarded> {
        if self.byte() == Some(b'"') {
            return self.quoted();
        }
        match self.token() {
            "" => Err(InvalidForwarded),
            token => Ok(Cow::Borrowed(token)),
        }
    }

    /// RFC 9110 §5.6.4.
    fn quoted(&mut self) -> Result<Cow<'a, str>, InvalidForwarded> {
        self.skip(1);
        let end = self.0.find(['"', '\\']).ok_or(InvalidForwarded)?;
        let (plain, rest) = self.0.split_at_checked(end).ok_or(InvalidForwarded)?;
        if let Some(rest) = rest.strip_prefix('"') {
            self.0 = rest;
            return Ok(Cow::Borrowed(plain));
        }
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next().ok_or(InvalidForwarded)? {
                '"' => break,
                '\\' => value.push(chars.next().ok_or(InvalidForwarded)?),
                other => value.push(other),
            }
        }
        self.0 = chars.as_str();
        Ok(Cow::Owned(value))
    }

    fn token(&mut self) -> &'a str {
        let end = self.0.bytes().take_while(|byte| is_token(*byte)).count();
        let (token, rest) = self.0.split_at_checked(end).unwrap_or(("", self.0));
        self.0 = rest;
        token
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or("");
    }

    fn byte(&self) -> Option<u8> {
        self.0.bytes().next()
    }
}

/// RFC 9110 §5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// In the form that a proxy sends; what is no token stands in quotes. Nothing stands there for an element without parts.
impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.map(|node| node.to_string());
        let parts = [("for", node.as_deref()), ("host", self.host()), ("proto", self.proto())];
        let mut separator = "";
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", Value(value))?;
                separator = ";";
            }
        }
        Ok(())
    }
}

/// A token, or a quoted string.
pub(crate) struct Value<'a>(pub(crate) &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.bytes().all(is_token) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Display for InvalidForwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a Forwarded header")
    }
}

impl Error for InvalidForwarded {}

const MOST_ELEMENTS: usize = 64;
const MOST_OTHERS: usize = 8;
