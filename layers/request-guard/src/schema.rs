//! How what is more than a number is written in a configuration file, for its JSON schema.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^ *[0-9]+ *(B|KiB|MiB|GiB) *$",
        "examples": ["64KiB", "10MiB"],
    })
}
