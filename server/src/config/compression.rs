use schemars::JsonSchema;
use serde::Deserialize;

use super::Spanned;

/// Which responses are compressed, for clients that ask for it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Compression {
    /// `zstd`, `br` and `gzip`, which are all used when left out. The client says which it likes best; of those that it
    /// likes as well the first in this order is taken.
    pub encodings: Option<Vec<Encoding>>,
    /// The least that is worth it, in bytes. 1024.
    pub min_size: u64,
    /// Types like `text/*` and `application/*+json`: those of text when left out.
    pub content_types: Option<Vec<Spanned<String>>>,
    /// How hard it tries.
    pub level: Level,
}

impl Default for Compression {
    fn default() -> Self {
        Self { encodings: None, min_size: 1024, content_types: None, level: Level::Default }
    }
}

/// A content coding.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// RFC 8878.
    Zstd,
    /// Brotli, RFC 7932.
    Br,
    /// RFC 1952.
    Gzip,
}

/// How hard a compressor tries.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// Little time, and larger results.
    Fastest,
    /// What suits responses that are made once for each request.
    #[default]
    Default,
    /// The smallest results, whatever the time. For responses that a cache keeps.
    Best,
}
