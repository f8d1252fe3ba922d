use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis_concurrency_limit::ConcurrencyPolicy;
use portcullis_forwarded::Proxy;
use portcullis_rate_limit::{LimitPolicy, WhenAway};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, Spanned, schema, text};

/// How much of whom, or how many at once: it has a `rate`, or a `concurrency`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["rate"] }, { "required": ["concurrency"] }]))]
#[non_exhaustive]
pub struct Limit {
    /// How much is allowed in a time.
    pub rate: Option<Spanned<LimitPolicy>>,
    /// How many requests may be under way at once, each until the last byte of its response, or the end of its tunnel.
    pub concurrency: Option<Spanned<ConcurrencyPolicy>>,
    /// Whose limit it is: `address`, `header:x-tenant`, `claim:sub`, `access_key`, `client_certificate:subject`, `route`,
    /// or several of these, which make a key together. One for all requests when left out.
    #[serde(default)]
    #[schemars(schema_with = "schema::texts")]
    pub key: Option<Spanned<KeySources>>,
    /// The units of a `rate` that a request takes. 1.
    pub cost: Option<Spanned<Cost>>,
    /// The requests that a `rate` has nothing to do with.
    pub exempt: Option<Exempt>,
    /// The statuses of responses that count for a `rate`; all when left out. Others give back what their request took.
    #[serde(default, deserialize_with = "text::statuses")]
    #[schemars(with = "Vec<u16>")]
    pub charge: Vec<StatusCode>,
    /// The name of a section `[store.…]`, where machines share the allowances of a `rate`; the memory of this process when
    /// left out.
    pub store: Option<Spanned<String>>,
}

/// What a key is made of: one source, or several together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a list and no more")]
pub struct KeySources(#[serde(deserialize_with = "text::one_or_many")] pub Vec<String>);

/// What a request costs.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(
    untagged,
    expecting = "a number of units, or a table of methods like { PUT = 5 }, is needed here"
)]
#[expect(clippy::exhaustive_enums, reason = "the same for all, or not")]
pub enum Cost {
    /// So many units each.
    Each(NonZeroU32),
    /// By method; others cost 1.
    ByMethod(BTreeMap<String, NonZeroU32>),
}

impl Cost {
    /// Of a request with this method.
    #[must_use]
    pub fn of(&self, method: &Method) -> NonZeroU32 {
        match self {
            Self::Each(units) => *units,
            Self::ByMethod(units) => units.get(method.as_str()).copied().unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// Which requests a limit has nothing to do with: those that any of these is true of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Exempt {
    /// CORS preflights, which anybody can make.
    pub preflight: bool,
    /// The starts of paths, up to a segment boundary.
    pub paths: Vec<Spanned<String>>,
    /// Methods.
    #[serde(deserialize_with = "text::methods")]
    #[schemars(with = "Vec<String>")]
    pub methods: Vec<Method>,
    /// The networks, or addresses, that clients are in.
    pub addresses: Vec<Proxy>,
}

/// Where machines keep limits together: a Redis or Valkey server.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Store {
    /// Its URL, like `redis://:password@host:6379/0` or `redis+unix:///path`. A secret, since it may have a password.
    pub redis: Spanned<Secret>,
    /// What the names of keys begin with: who has the same, and limits of the same names, shares them. `rate-limit`.
    pub prefix: Option<String>,
    /// For how long an answer is waited for. 100 ms.
    #[serde(
        default = "tenth",
        deserialize_with = "text::duration",
        serialize_with = "schema::write"
    )]
    #[schemars(schema_with = "schema::duration")]
    pub time_limit: Duration,
    /// What is let through while it is away: what the memory of this process says (`local`), all (`open`), or nothing
    /// (`closed`). `local`.
    #[serde(default)]
    pub when_away: WhenAway,
}

/// What is in front of all routes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Edge {
    /// Names of sections `[limit.…]` with a `rate`, which every request takes of, whatever it asks for.
    pub rate_limit: Vec<Spanned<String>>,
}

const fn tenth() -> Duration {
    Duration::from_millis(100)
}
