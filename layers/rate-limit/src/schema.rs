//! How what is more than text is written in a configuration file, for its JSON schema.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn quota(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^ *[0-9]+/[0-9]*(d|h|m|s|ms|us|ns)( +burst +[0-9]+)? *$",
        "examples": ["100/s", "100/s burst 20", "5000/h burst 100"],
    })
}

pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^ *(0|([0-9]+ *[a-zA-Zµ]+ *)+)$",
        "examples": ["250ms", "1s"],
    })
}
