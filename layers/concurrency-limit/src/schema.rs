//! How what is more than text is written in a configuration file, for its JSON schema.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serializer;

pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^ *([0-9]+ *[a-zA-Zµ]+ *)+$",
        "examples": ["250ms", "1s"],
    })
}

/// Writes a default as it would stand in a file.
pub(crate) fn write<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
    output.collect_str(&humantime::format_duration(*duration))
}
