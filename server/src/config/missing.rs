//! All the keys that a table lacks. A type tells of the first one alone.

use serde_json::Value;

use super::tree::{Node, Path, Segment};

/// The keys that the table at `path` needs and does not have, by the schema of the whole file.
pub(super) fn keys(schema: &Value, path: &Path, table: &Node) -> Vec<String> {
    let section =
        find(schema, schema, path.segments(), &|section| section.get("required").is_some());
    let required = section.and_then(|section| section.get("required")?.as_array());
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| table.entry(name).is_none()).map(str::to_owned).collect()
}

/// The schema of what stands at the end of `path`, if it is `wanted`.
fn find<'s>(
    root: &'s Value,
    schema: &'s Value,
    path: &[Segment],
    wanted: &dyn Fn(&Value) -> bool,
) -> Option<&'s Value> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let schema = root.pointer(name.strip_prefix('#')?)?;
        return find(root, schema, path, wanted);
    }
    let below = match path.split_first() {
        None if wanted(schema) => return Some(schema),
        None => None,
        Some((Segment::Index(_), rest)) => schema.get("items").zip(Some(rest)),
        Some((Segment::Key(key), rest)) => {
            let property = schema.get("properties").and_then(|properties| properties.get(key));
            property.or_else(|| schema.get("additionalProperties")).zip(Some(rest))
        }
    };
    let found = below.and_then(|(schema, rest)| find(root, schema, rest, wanted));
    found.or_else(|| {
        let branches =
            ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|kind| schema.get(kind)?.as_array());
        branches.flatten().find_map(|branch| {
            // What merely asks for one of several keys is no section.
            branch.get("type").or_else(|| branch.get("$ref"))?;
            find(root, branch, path, wanted)
        })
    })
}
