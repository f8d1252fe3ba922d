//! How rules are written in a configuration file, for its JSON schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::HeaderRules;

#[cfg_attr(docsrs, doc(cfg(feature = "schema")))]
impl JsonSchema for HeaderRules {
    fn schema_name() -> Cow<'static, str> {
        "HeaderRules".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text =
            |description: &str| json_schema!({ "type": "string", "description": description });
        let flag = |description: &str| json_schema!({ "type": "boolean", "default": false, "description": description });
        json_schema!({
            "description": "Rules for headers, applied in this order; each has one verb.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "set": text("The header that gets a value in place of all that it had."),
                    "append": text("The header that gets one more value."),
                    "set_if_absent": text("The header that gets a value if it has none."),
                    "replace_if_present": text("The header that gets a value in place of all that it had, if it had any."),
                    "remove": text("The header that is taken off."),
                    "remove_prefix": text("How the names of headers begin that are taken off."),
                    "rename": text("The header that goes on under another name."),
                    "copy": text("The header that goes on under another name, too."),
                    // It may be a key for the service behind, so that who shows a configuration leaves it out.
                    "value": {
                        "type": "string",
                        "description": "The value: visible ASCII, spaces and tabs.",
                        "writeOnly": true,
                    },
                    "from": text("What the value comes from."),
                    "prefix": text("What stands before the value, as \"Bearer \" does."),
                    "base64": flag("Sends the value in base64, as gRPC has it under a name that ends in `-bin`."),
                    "to": text("The new name."),
                    "on_missing": {
                        "enum": ["remove", "keep", "reject"],
                        "default": "remove",
                        "description": "What happens to what stands there if there is no value.",
                    },
                    "when": when(),
                    "secret": flag("Never prints the value."),
                    "allow_protected": flag("Lets the rule change a header that is protected."),
                },
                "additionalProperties": false,
                "oneOf": [
                    { "required": ["set"] },
                    { "required": ["append"] },
                    { "required": ["set_if_absent"] },
                    { "required": ["replace_if_present"] },
                    { "required": ["remove"] },
                    { "required": ["remove_prefix"] },
                    { "required": ["rename", "to"] },
                    { "required": ["copy", "to"] },
                ],
            },
        })
    }
}

/// The condition of a rule.
fn when() -> Schema {
    let texts = |description: &str| {
        json_schema!({
            "description": description,
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        })
    };
    let status = || json_schema!({ "type": ["integer", "string"], "examples": [404, "4xx"] });
    json_schema!({
        "description": "When the rule acts: if all of this is so.",
        "type": "object",
        "properties": {
            "method": texts("Methods of the request."),
            "status": {
                "description": "Statuses of the response.",
                "anyOf": [status(), { "type": "array", "items": status(), "minItems": 1 }],
            },
            "header": texts("Headers that are there."),
            "no_header": texts("Headers that are not there."),
            "content_type": texts("Types of the content, such as \"text/*\"."),
            "known": texts("What values come from, and has one."),
        },
        "additionalProperties": false,
        "minProperties": 1,
    })
}

pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^ *[0-9]+ *(B|KiB|MiB)$",
        "examples": ["16KiB"],
    })
}
