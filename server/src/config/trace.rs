use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_request_id::Trust;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, Spanned, Url, schema, text};

/// Which requests are traced, and the collector that their spans are sent to.
///
/// The program has to be built with the feature `otlp`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Trace {
    /// The collector, which takes OTLP over HTTP, like `http://127.0.0.1:4318`. Where the URL has no path, it is asked at
    /// `/v1/traces`.
    pub endpoint: Spanned<Url>,
    /// What the collector is told besides, by header: keys, mostly.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<Secret>>,
    /// Certificates to trust besides the public ones, in a PEM file.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// What the gateway is called in traces. `portcullis`.
    #[serde(default = "portcullis")]
    pub service_name: String,
    /// What is said of the gateway besides, as `deployment.environment.name`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The share of requests that are traced, where nobody who is trusted has decided that: from 0 to 1, which is all. 1.
    #[serde(default = "all", deserialize_with = "text::share")]
    #[schemars(schema_with = "schema::share")]
    pub ratio: f64,
    /// Whether a trusted client's decision holds for its requests; else `ratio` decides of all.
    #[serde(default = "yes")]
    pub parent_based: bool,
    /// Whose traces are gone on with: `"none"`, `"all"`, or those of peers in a list of networks. Requests of others begin a
    /// trace, which only has a link to theirs.
    #[serde(default)]
    pub trusted: Trust,
    /// How long one delivery may take. 10 s.
    #[serde(
        default = "ten_seconds",
        deserialize_with = "text::duration",
        serialize_with = "schema::write"
    )]
    #[schemars(schema_with = "schema::duration")]
    pub timeout: Duration,
    /// How long spans wait for others to be delivered with them, unless there are enough before. 5 s.
    #[serde(
        default = "five_seconds",
        deserialize_with = "text::duration",
        serialize_with = "schema::write"
    )]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Duration,
    /// How many spans wait at most, each of some KiB at most: what comes when there is no room is dropped, and counted. 2048.
    #[serde(default = "room")]
    pub queue: NonZeroUsize,
}

fn portcullis() -> String {
    "portcullis".to_owned()
}

const fn all() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

const fn room() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(2047)
}
