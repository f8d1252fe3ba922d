use std::net::SocketAddr;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Spanned, Url, schema, text};

/// Replicas that a name server knows: each address of a name is one.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Discover {
    /// The URL of all of them, whose host is looked up again each time that the answer has grown too old.
    pub dns: Spanned<Url>,
    /// The name server to ask, address and port; those of the system when left out.
    #[serde(default, deserialize_with = "text::some_address")]
    #[schemars(schema_with = "schema::address")]
    pub resolver: Option<SocketAddr>,
    /// How many addresses are used at most. 32.
    #[serde(default = "many")]
    pub max_replicas: NonZeroUsize,
}

const fn many() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(31)
}
