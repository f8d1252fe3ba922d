//! What claims weigh in memory: never less than the allocator is asked for.

use serde_json::{Map, Value};

pub(crate) fn members(members: &Map<String, Value>) -> usize {
    let owned: usize =
        members.iter().map(|(name, value)| name.capacity() + self::value(value)).sum();
    owned + nodes(members.len()) * NODE
}

/// Numbers weigh nothing beside their value, unless another crate has `serde_json` keep their text: then as much as the
/// token, in all.
fn value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(items) => {
            items.capacity() * size_of::<Value>() + items.iter().map(self::value).sum::<usize>()
        }
        Value::Object(members) => self::members(members),
    }
}

/// Nodes of a B-tree of that many members have five at least, but for the root. The bound holds for a hash map in order
/// of insertion, too, which `serde_json` may be told to use.
const fn nodes(members: usize) -> usize {
    if members == 0 { 0 } else { 1 + members / 4 }
}

/// Eleven members, twelve edges, and what a node knows of its parent.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>())
    + 12 * size_of::<usize>()
    + 2 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[a-z\"]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 200, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,9}", inner, 0..40)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn measured(text: &[u8]) -> (usize, usize) {
        let mut parsed = None;
        let taken = allocation_counter::measure(|| parsed = json::object(text)).bytes_current;
        (usize::try_from(taken).unwrap(), members(&parsed.unwrap()))
    }

    #[test]
    fn what_is_made_to_be_large_is_weighed() {
        for text in [
            format!("{{\"a\":[{}0]}}", "0,".repeat(6000)),
            format!("{{\"a\":[{}{{}}]}}", "{\"\":0},".repeat(1700)),
            format!("{}0{}", "{\"\":".repeat(120), "}".repeat(120)),
            format!("{{\"a\":[{}[]]}}", "[0],".repeat(3000)),
            format!("{{{}\"z\":0}}", (0..1500).map(|n| format!("\"{n}\":0,")).collect::<String>()),
            format!(
                "{{{}\"z\":0}}",
                (0..1500).rev().map(|n| format!("\"{n:09}\":0,")).collect::<String>()
            ),
            "{}".to_owned(),
        ] {
            let (taken, weighed) = measured(text.as_bytes());
            assert!(taken <= weighed, "{taken} > {weighed}");
            assert!(weighed <= 3 * taken + 200, "{weighed} is far more than {taken}");
        }
    }

    proptest! {
        #[test]
        fn claims_take_no_more_than_they_weigh(value in json()) {
            let text = Value::Object([("a".to_owned(), value)].into_iter().collect()).to_string();
            let (taken, weighed) = measured(text.as_bytes());
            prop_assert!(taken <= weighed, "{} > {}: {}", taken, weighed, text);
        }
    }
}
