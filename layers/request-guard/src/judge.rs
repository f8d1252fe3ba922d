//! Judging a path, as a pure function of path and policy.

use std::borrow::Cow;
use std::mem;

use crate::{Flaw, Paths, Treatment, Verdict};

impl Paths {
    /// Judges the path of a request target: it may go on as it is, or as what it is normalised to.
    ///
    /// Judging costs no allocation, unless the path has a `%` or is changed.
    ///
    /// # Errors
    ///
    /// What is wrong with it, by this policy.
    ///
    /// ```
    /// use portcullis_request_guard::{Flaw, Paths, Treatment};
    ///
    /// assert_eq!(Paths::new().judge("/a/%2e%2e/b"), Err(Flaw::ParentSegment));
    /// let paths = Paths::new().empty_segments(Treatment::Normalise);
    /// assert_eq!(paths.judge("/a//b%20c").unwrap(), "/a/b%20c");
    /// ```
    pub fn judge<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Flaw> {
        if is_plain(path) {
            return Ok(Cow::Borrowed(path));
        }
        if !path.starts_with('/') {
            return Err(Flaw::Encoding);
        }
        let path = if self.normalises() { self.normalise(path)? } else { Cow::Borrowed(path) };
        self.check(&path)?;
        Ok(path)
    }

    /// What is left to be refused.
    fn check(&self, path: &str) -> Result<(), Flaw> {
        let decoded = decode(path)?;
        if decoded.contains(&0) {
            return Err(Flaw::Nul);
        }
        if self.control_bytes == Verdict::Refuse && decoded.iter().any(u8::is_ascii_control) {
            return Err(Flaw::ControlByte);
        }
        let is_utf8 = self.invalid_utf8 == Verdict::Allow || std::str::from_utf8(&decoded).is_ok();
        if !is_utf8 || has_long_form(&decoded) {
            return Err(Flaw::InvalidUtf8);
        }
        let backslashes = count(&decoded, b'\\');
        if backslashes > 0 && self.backslashes != Treatment::Allow {
            return Err(Flaw::Backslash);
        }
        let hidden = count(&decoded, b'/') > count(path.as_bytes(), b'/');
        if hidden && self.encoded_slashes != Treatment::Allow {
            return Err(Flaw::EncodedSlash);
        }
        let seen = Segments::of(&decoded);
        if seen.dots && self.dot_segments != Treatment::Allow {
            return Err(Flaw::DotSegment);
        }
        if seen.empty && self.empty_segments != Treatment::Allow {
            return Err(Flaw::EmptySegment);
        }
        if seen.parents {
            let is_clear = !seen.empty && !hidden && backslashes == 0;
            if self.parent_segments != Treatment::Allow
                || !is_clear
                || seen.lowest < Some(self.root)
            {
                return Err(Flaw::ParentSegment);
            }
        }
        if self.double_encoding == Verdict::Refuse && hides(&decoded) {
            return Err(Flaw::DoubleEncoding);
        }
        Ok(())
    }

    /// The path without all that is to be normalised. What cannot be is left for [`check`](Self::check).
    fn normalise<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Flaw> {
        let slashed = self.slashed(path)?;
        let mut kept: Vec<&str> = Vec::with_capacity(slashed.matches('/').count());
        let (mut climbs, mut has_dots) = (false, false);
        let mut segments = slashed.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let kind = Kind::of(&decode(segment)?);
            let treatment = match kind {
                Kind::Empty if is_last => Treatment::Allow,
                Kind::Empty => self.empty_segments,
                Kind::Dot => self.dot_segments,
                Kind::Parent => self.parent_segments,
                Kind::Name => Treatment::Allow,
            };
            if treatment != Treatment::Normalise {
                has_dots |= kind == Kind::Dot;
                kept.push(segment);
                continue;
            }
            if kind == Kind::Parent {
                climbs = true;
                if kept.pop().is_none() || kept.len() < self.root {
                    return Err(Flaw::ParentSegment);
                }
            }
            // RFC 3986 §5.2.4: what `.` and `..` stood for at the end is a folder.
            if is_last {
                kept.push("");
            }
        }
        // What was climbed over has to be one segment for everybody.
        let has_empty = slashed.contains("//") && self.empty_segments != Treatment::Normalise;
        if climbs && (has_dots || has_empty || hides_a_separator(&slashed)) {
            return Err(Flaw::ParentSegment);
        }
        let mut normal = String::with_capacity(slashed.len());
        for segment in kept {
            normal.push('/');
            normal.push_str(segment);
        }
        if normal.is_empty() {
            normal.push('/');
        }
        Ok(if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) })
    }

    /// The path with slashes in place of all that is one by this policy.
    fn slashed<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Flaw> {
        let is_slash = |byte: u8| match byte {
            b'\\' => self.backslashes == Treatment::Normalise,
            b'/' => self.encoded_slashes == Treatment::Normalise,
            _ => false,
        };
        if !path.contains(['%', '\\']) {
            return Ok(Cow::Borrowed(path));
        }
        let mut slashed = String::with_capacity(path.len());
        let mut rest = path;
        while let Some(at) = rest.find(['%', '\\']) {
            let (before, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            slashed.push_str(before);
            let length = if special.starts_with('\\') { 1 } else { 3 };
            let (special, after) = special.split_at_checked(length).ok_or(Flaw::Encoding)?;
            let is_slash = decode(special)?.first().is_some_and(|byte| is_slash(*byte));
            slashed.push_str(if is_slash { "/" } else { special });
            rest = after;
        }
        slashed.push_str(rest);
        Ok(Cow::Owned(slashed))
    }
}

/// Most paths are what they seem.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    let is_plain = |byte: u8| {
        let odd = mem::replace(&mut before, byte) == b'/' && matches!(byte, b'/' | b'.');
        byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\') && !odd
    };
    path.starts_with('/') && path.bytes().all(is_plain)
}

/// What a segment is for those who know such segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Empty,
    Dot,
    Parent,
    Name,
}

impl Kind {
    fn of(decoded: &[u8]) -> Self {
        // Servlets take parameters off a segment before they look at it.
        match decoded {
            [] => Self::Empty,
            [b'.'] | [b'.', b';', ..] => Self::Dot,
            [b'.', b'.'] | [b'.', b'.', b';', ..] => Self::Parent,
            _ => Self::Name,
        }
    }
}

/// What the segments of a decoded path are, whatever separates them.
#[derive(Debug, Default)]
struct Segments {
    parents: bool,
    dots: bool,
    empty: bool,
    /// How many segments stay, whatever is climbed over; none if that leads above the first.
    lowest: Option<usize>,
}

impl Segments {
    fn of(decoded: &[u8]) -> Self {
        let mut seen = Self { lowest: Some(usize::MAX), ..Self::default() };
        let mut depth = Some(0_usize);
        let mut segments = decoded.split(|byte| matches!(byte, b'/' | b'\\')).skip(1).peekable();
        while let Some(segment) = segments.next() {
            match Kind::of(segment) {
                Kind::Empty => seen.empty |= segments.peek().is_some(),
                Kind::Dot => seen.dots = true,
                Kind::Name => depth = depth.map(|depth| depth.saturating_add(1)),
                Kind::Parent => {
                    seen.parents = true;
                    depth = depth.and_then(|depth| depth.checked_sub(1));
                    seen.lowest = seen.lowest.min(depth);
                }
            }
        }
        seen
    }
}

fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|byte| **byte == wanted).count()
}

/// Whether a part of a path has a separator for those who decode, and none for those who do not.
fn hides_a_separator(part: &str) -> bool {
    let code =
        |window: &[u8]| matches!(window, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C']);
    part.contains('\\') || part.as_bytes().windows(3).any(code)
}

fn decode(path: &str) -> Result<Cow<'_, [u8]>, Flaw> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => escaped(bytes.next(), bytes.next()).ok_or(Flaw::Encoding)?,
            byte => byte,
        });
    }
    Ok(Cow::Owned(decoded))
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Decodes what can be, and leaves what cannot.
fn decode_again(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'%') {
        return None;
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        let code = match after {
            [high, low, after @ ..] if *byte == b'%' => {
                escaped(Some(*high), Some(*low)).map(|byte| (byte, after))
            }
            _ => None,
        };
        let (byte, after) = code.unwrap_or((*byte, after));
        decoded.push(byte);
        rest = after;
    }
    (decoded.len() < bytes.len()).then_some(decoded)
}

/// Whether something comes forth if a path that has been decoded is decoded again, or again and again.
fn hides(decoded: &[u8]) -> bool {
    let slashes = |bytes: &[u8]| count(bytes, b'/') + count(bytes, b'\\');
    let controls = |bytes: &[u8]| bytes.iter().filter(|byte| byte.is_ascii_control()).count();
    let mut inner = Cow::Borrowed(decoded);
    for _ in 0..DEEPEST {
        let Some(next) = decode_again(&inner) else { return false };
        let seen = Segments::of(&next);
        let more = slashes(&next) > slashes(decoded) || controls(&next) > controls(decoded);
        if more || has_long_form(&next) || seen.parents && !Segments::of(decoded).parents {
            return true;
        }
        inner = Cow::Owned(next);
    }
    true
}

/// How often a path may be encoded: nobody has a reason to come near.
const DEEPEST: usize = 4;

/// Whether a character of ASCII is written as one of more bytes, which is no UTF-8, and which some readers decode
/// nonetheless.
fn has_long_form(bytes: &[u8]) -> bool {
    let long = |pair: &[u8]| {
        matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f])
    };
    bytes.windows(2).any(long)
}
