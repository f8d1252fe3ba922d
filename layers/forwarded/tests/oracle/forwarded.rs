//! A reader of `Forwarded` that is slow and plain: what it says is what the other one has to say.

use portcullis_forwarded::{Element, Node};

type Pairs = Vec<(String, String)>;

/// The pairs of each element that has some; none if the line breaks the grammar.
fn read(line: &str) -> Option<Vec<Pairs>> {
    let pieces = split(line, ',')?;
    let mut elements = Vec::new();
    for piece in &pieces {
        // No more than 64, not even if nothing comes any more.
        if elements.len() == 64 {
            return None;
        }
        let pairs = split(piece, ';')?;
        let pairs = pairs.iter().map(|pair| pair.trim_matches([' ', '\t']));
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(pair).collect::<Option<Pairs>>()?;
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        let known = ["for", "host", "proto", "by"];
        let others = names.iter().filter(|name| !known.contains(&name.as_str())).count();
        if names.len() < pairs.len() || others > 8 {
            return None;
        }
        if !pairs.is_empty() {
            elements.push(pairs);
        }
    }
    Some(elements)
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = match value.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None => Some(value.to_owned()).filter(|value| is_token(value))?,
    };
    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

/// What is between the quotes, of which the last has to be at the end.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(value),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

/// At the separators that are not in quotes; none if a quote is left open.
fn split(text: &str, separator: char) -> Option<Vec<String>> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        if character == separator && !quoted {
            pieces.push(String::new());
            continue;
        }
        match character {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && !escaped && character == '\\';
        pieces.last_mut()?.push(character);
    }
    (!quoted).then_some(pieces)
}

fn is_token(text: &str) -> bool {
    let others = "!#$%&'*+-.^_`|~";
    !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric() || others.contains(it))
}

/// Reads a line in both ways, and what was read once more from what is written of it.
///
/// # Panics
///
/// When they differ.
pub fn compare(line: &str) {
    let elements = Element::parse_line(line).ok();
    let expected = read(line);
    assert_eq!(elements.is_some(), expected.is_some(), "{line:?}");
    let (Some(elements), Some(expected)) = (elements, expected) else { return };

    assert_eq!(elements.len(), expected.len(), "{line:?}");
    for (element, pairs) in elements.iter().zip(&expected) {
        let value = |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
        assert_eq!(element.node(), value("for").map(Node::parse), "{line:?}");
        assert_eq!(element.host(), value("host"), "{line:?}");
        assert_eq!(element.proto(), value("proto"), "{line:?}");
    }
    let says = |element: &&Element<'_>| {
        element.node().is_some() || element.host().is_some() || element.proto().is_some()
    };
    let written: Vec<_> = elements.iter().filter(says).map(ToString::to_string).collect();
    let written = written.join(", ");
    let again = Element::parse_line(&written).unwrap_or_default();
    assert!(again.iter().eq(elements.iter().filter(says)), "{line:?} as {written:?}");
}
