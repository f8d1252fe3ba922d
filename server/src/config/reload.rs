use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{schema, text};

/// When the file is read again, and what becomes of the keys that are gone then.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Reload {
    /// Reads it again when it changes, or a file that it names does.
    pub watch: bool,
    /// Between two looks at the files. One that changed is read once two looks find the same. 1 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub watch_interval: Duration,
    /// How long keys of issuers and clients are accepted that the file has no more: from none to a day. 5 min.
    #[serde(deserialize_with = "text::grace", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub grace: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: false,
            watch_interval: Duration::from_secs(1),
            grace: Duration::from_secs(5 * 60),
        }
    }
}
