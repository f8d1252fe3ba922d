use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Node, Value};
use crate::config::Problem;

/// Reads TOML.
///
/// # Errors
///
/// Every place where it is none, as far as the rest can be told from it.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let span = table.span();
        return Ok(Node { span, value: Value::Table(entries(table.into_inner())) });
    }
    let problem = |error: &toml::de::Error| Problem::new("", error.span(), error.message().trim());
    Err(errors.iter().map(problem).collect())
}

fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let entry = |(key, value): (Spanned<_>, _)| {
        let place = key.span();
        Entry { key: std::borrow::Cow::into_owned(key.into_inner()), place, node: node(value) }
    };
    table.into_iter().map(entry).collect()
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Integer(number) => {
            // One beyond all that is read here is as wrong as one that is merely too large.
            Value::Integer(
                i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX),
            )
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(date) => Value::Text(date.to_string()),
        DeValue::Array(items) => Value::List(items.into_iter().map(node).collect()),
        DeValue::Table(table) => Value::Table(entries(table)),
    };
    Node { span, value }
}
