//! How what is more than a number is written in a configuration file, for its JSON schema.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::Paths;

pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^ *[0-9]+ *(B|KiB|MiB|GiB) *$",
        "examples": ["64KiB", "10MiB"],
    })
}

pub(crate) fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

pub(crate) fn paths(generator: &mut SchemaGenerator) -> Schema {
    let table = generator.subschema_for::<Paths>();
    json_schema!({ "anyOf": [{ "enum": ["default", "strict", "s3"] }, table] })
}
