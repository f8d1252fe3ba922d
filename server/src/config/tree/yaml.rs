use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Entry, Node, Value};
use crate::config::Problem;

/// Reads one document of YAML 1.2 in its core schema: `no` and `on` are texts, and nothing has a tag.
///
/// # Errors
///
/// Where it is none, and what of YAML is not for configuration files: tags, keys that are no text, a key that stands there
/// twice, more than one document, more than [`MOST_NODES`] values once all aliases are followed, and more than [`DEEPEST`]
/// levels of them.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        lines: Lines::of(text),
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    let root = reader.document();
    match root {
        Ok(root) if reader.problems.is_empty() => Ok(root),
        Ok(_) => Err(reader.problems),
        Err(last) => {
            reader.problems.push(last);
            Err(reader.problems)
        }
    }
}

/// Values of a file, the copies that aliases make included.
const MOST_NODES: usize = 100_000;

/// Lists and tables within each other.
const DEEPEST: usize = 64;

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    lines: Lines<'t>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), Problem> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.lines.range(span))),
            Some(Err(error)) => {
                let place = self.lines.offset(*error.marker());
                Err(Problem::new("", place..place, error.info()))
            }
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = Node { span: 0..0, value: Value::Table(Vec::new()) };
        let mut seen = false;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), place) if seen => {
                    let message = "a second document begins here; one alone is read";
                    return Err(Problem::new("", place, message));
                }
                (Event::DocumentStart(_), _) => seen = true,
                (event, span) => {
                    let node = self.node(event, span, 0)?;
                    if node.value != Value::Null {
                        root = node;
                    }
                }
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'t>,
        span: Range<usize>,
        depth: usize,
    ) -> Result<Node, Problem> {
        self.count(1, &span)?;
        if depth > DEEPEST {
            return Err(Problem::new("", span, format!("more than {DEEPEST} levels are not read")));
        }
        let (value, end, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(tag.as_deref(), &span);
                let value = match style {
                    ScalarStyle::Plain => plain(&text),
                    _ => Value::Text(text.into_owned()),
                };
                (value, span.end, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(tag.as_deref(), &span);
                let (items, end) = self.items(depth)?;
                (Value::List(items), end, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(tag.as_deref(), &span);
                let (entries, end) = self.entries(depth)?;
                (Value::Table(entries), end, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::new(
                        "",
                        span,
                        "this stands within what it is an alias of",
                    ));
                };
                self.count(size(&node), &span)?;
                return Ok(Node { span, ..node });
            }
            _ => return Err(Problem::new("", span, "a value is needed here")),
        };
        let node = Node { span: span.start..end.max(span.start), value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((items, span.end)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (key, place) = match self.next()? {
                (Event::MappingEnd, span) => return Ok((entries, span.end)),
                (Event::Scalar(key, _, 0, None), place) => (key.into_owned(), place),
                (_, place) => {
                    return Err(Problem::new("", place, "a key is a text without tag and anchor"));
                }
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if entries.iter().any(|entry| entry.key == key) {
                let message = format!("the key `{key}` stands here twice");
                self.problems.push(Problem::new("", place, message));
            } else {
                entries.push(Entry { key, place, node });
            }
        }
    }

    fn refuse(&mut self, tag: Option<&Tag>, span: &Range<usize>) {
        if tag.is_some() {
            let message = "tags are not read; a text that looks like something else is quoted";
            self.problems.push(Problem::new("", span.clone(), message));
        }
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("more than {MOST_NODES} values, aliases followed, are not read");
            return Err(Problem::new("", span.clone(), message));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Table(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

/// What a text without quotes stands for (YAML 1.2.2 §10.3.2).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let in_radix = |digits, radix| i128::from_str_radix(digits, radix).ok().map(Value::Integer);
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| !digits.starts_with(['+', '-'])) {
        return in_radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|digits| !digits.starts_with(['+', '-'])) {
        return in_radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => {
            return Some(Value::Float(f64::NEG_INFINITY));
        }
        ".inf" | ".Inf" | ".INF" => return Some(Value::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    let mut chars = unsigned.chars();
    if !chars.next()?.is_ascii_digit() && !unsigned.starts_with('.') {
        return None;
    }
    let numeric = |char: char| char.is_ascii_digit() || matches!(char, '.' | 'e' | 'E' | '+' | '-');
    if !chars.all(numeric) {
        return None;
    }
    in_radix(text, 10).or_else(|| text.parse().ok().map(Value::Float))
}

/// Where the lines of a text begin, since a place in YAML is a line and a column.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(index, _)| index + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }

    fn offset(&self, mark: Marker) -> usize {
        let line = mark.line().checked_sub(1).and_then(|line| self.starts.get(line));
        let Some(rest) = line.and_then(|start| self.text.get(*start..)) else {
            return self.text.len();
        };
        let columns = rest.char_indices().nth(mark.col()).map_or(rest.len(), |(index, _)| index);
        self.text.len() - rest.len() + columns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at<'t>(text: &'t str, node: &Node) -> &'t str {
        text.get(node.span.clone()).unwrap()
    }

    fn value(text: &str) -> Value {
        parse(&format!("a: {text}")).unwrap().entry("a").unwrap().node.value.clone()
    }

    #[test]
    fn every_key_and_value_has_its_place_beyond_ascii_too() {
        let text = "ä: ö\n# ü\nlist:\n  - é: [1, 'zwölf']\n";
        let root = parse(text).unwrap();

        assert_eq!(at(text, &root.entry("ä").unwrap().node), "ö");
        let list = root.entry("list").unwrap();
        assert_eq!(text.get(list.place.clone()).unwrap(), "list");
        let Value::List(items) = &list.node.value else { panic!("{list:?}") };
        let inner = items[0].entry("é").unwrap();
        assert_eq!(text.get(inner.place.clone()).unwrap(), "é");
        assert_eq!(at(text, &inner.node), "[1, 'zwölf']");
    }

    #[test]
    fn plain_scalars_are_those_of_the_core_schema() {
        for (text, expected) in [
            ("no", Value::Text("no".into())),
            ("on", Value::Text("on".into())),
            ("True", Value::Bool(true)),
            ("'true'", Value::Text("true".into())),
            ("~", Value::Null),
            ("", Value::Null),
            ("-12", Value::Integer(-12)),
            ("012", Value::Integer(12)),
            ("0x1F", Value::Integer(31)),
            ("0o17", Value::Integer(15)),
            ("1.5e3", Value::Float(1500.0)),
            (".5", Value::Float(0.5)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("127.0.0.1", Value::Text("127.0.0.1".into())),
            ("1_000", Value::Text("1_000".into())),
            ("10s", Value::Text("10s".into())),
            ("0x", Value::Text("0x".into())),
            ("inf", Value::Text("inf".into())),
            ("|-\n  a\n  b", Value::Text("a\nb".into())),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn an_alias_is_a_copy_that_stands_where_it_is() {
        let text = "a: &one { b: 1 }\nc: *one\n";
        let root = parse(text).unwrap();

        let copy = &root.entry("c").unwrap().node;
        assert_eq!(copy.value, root.entry("a").unwrap().node.value);
        assert_eq!(at(text, copy), "*one");
    }

    #[test]
    fn aliases_do_not_multiply_without_bound() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
        }

        assert!(parse(&text).is_err_and(|found| found.len() == 1));
    }

    #[test]
    fn what_is_not_for_configuration_is_refused() {
        for text in [
            "a: 1\na: 2\n",
            "a: !!str 1\n",
            "a: !tag {}\n",
            "? [a]\n: 1\n",
            "a: 1\n---\nb: 2\n",
            "a: &a [*a]\n",
            "a: *b\n",
            "a: [1\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&deep).is_err());
        let nested: String = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(parse(&nested).is_err());
    }

    #[test]
    fn an_empty_file_is_an_empty_table() {
        for text in ["", "# nothing\n", "---\n", "{}"] {
            assert_eq!(parse(text).unwrap().value, Value::Table(Vec::new()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c:{}\\[\\]&*!|>\"'\\- \n#ä,?~0-9.]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_json_is_read_as_json_reads_it(items in proptest::collection::vec("[ -~äöü]{0,8}", 0..5)) {
            let json = serde_json::to_string(&items).unwrap();
            let Value::List(read) = value(&json) else { panic!("no list") };
            let read: Vec<_> = read.into_iter().map(|node| node.value).collect();

            prop_assert_eq!(read, items.into_iter().map(Value::Text).collect::<Vec<_>>());
        }
    }
}
