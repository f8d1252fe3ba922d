//! JSON objects in which no name is there twice.

use serde_json::{Map, Value};

/// The object that `text` is, if it is one and says everything once.
///
/// Which of two members of one name counts differs between parsers, and what differs can be forged
/// (RFC 8725 §2.4, RFC 7515 §4).
pub(crate) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let Value::Object(object) = serde_json::from_slice(text).ok()? else {
        return None;
    };
    (written(text) == object.values().map(kept).sum::<usize>() + object.len()).then_some(object)
}

/// How many members well-formed JSON has as it is written: one for each colon that is not in a string.
fn written(text: &[u8]) -> usize {
    let mut members = 0;
    let mut in_string = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => drop(bytes.next()), // only strings have escapes
            b':' if !in_string => members += 1,
            _ => {}
        }
    }
    members
}

/// How many members a parsed value has kept, at any depth; of two with one name it keeps one.
fn kept(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(kept).sum(),
        Value::Object(members) => members.values().map(kept).sum::<usize>() + members.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1},{"c":{},"c":{}}]}"#,
            r#"{"a":{"x":1},"a":{"x":1,"y":":"}}"#,
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_an_object_is_one() {
        for text in ["", "1", "[]", "\"a\"", "null", "{", "{}{}", "{\"a\":1}x", "\u{feff}{}"] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert!(object(b" {} ").is_some());
    }

    #[test]
    fn colons_in_strings_are_not_members() {
        for text in [r#"{"a:b":":","c\":":"\\"}"#, r#"{"\\":[":",{"\"":"::"}]}"#] {
            assert!(object(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = |levels: usize| format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels));

        assert!(object(deep(100).as_bytes()).is_some());
        assert_eq!(object(deep(100_000).as_bytes()), None);
    }

    /// Any object, as a list of members, so that names may come twice.
    #[derive(Clone, Debug)]
    enum Written {
        Text(String),
        Members(Vec<(String, Self)>),
        Items(Vec<Self>),
    }

    impl Written {
        fn json(&self) -> String {
            match self {
                Self::Text(text) => Value::from(text.as_str()).to_string(),
                Self::Items(items) => {
                    let items: Vec<_> = items.iter().map(Self::json).collect();
                    format!("[{}]", items.join(","))
                }
                Self::Members(members) => {
                    let member = |(name, value): &(String, Self)| {
                        format!("{}:{}", Value::from(name.as_str()), value.json())
                    };
                    let members: Vec<_> = members.iter().map(member).collect();
                    format!("{{{}}}", members.join(","))
                }
            }
        }

        fn says_everything_once(&self) -> bool {
            match self {
                Self::Text(_) => true,
                Self::Items(items) => items.iter().all(Self::says_everything_once),
                Self::Members(members) => {
                    let names: BTreeMap<_, _> =
                        members.iter().map(|(name, _)| (name, ())).collect();
                    names.len() == members.len()
                        && members.iter().all(|(_, value)| value.says_everything_once())
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = Written> {
        "[:\\\\\"a{}]{0,3}".prop_map(Written::Text).prop_recursive(4, 24, 4, |inner| {
            let members = prop::collection::vec(("[:\\\\\"ab]{0,2}", inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Written::Items),
                members.prop_map(Written::Members),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_is_accepted_just_when_it_says_everything_once(
            members in prop::collection::vec(("[:\\\\\"ab]{0,2}", value()), 0..4)
        ) {
            let written = Written::Members(members);
            let accepted = object(written.json().as_bytes()).is_some();
            prop_assert_eq!(accepted, written.says_everything_once(), "{}", written.json());
        }
    }
}
