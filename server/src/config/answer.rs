use std::collections::BTreeMap;
use std::num::NonZeroU16;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Spanned, schema, text};

/// Sends clients elsewhere. What is left out is as the client asked for it, once the route has rewritten its path.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308. 308, which keeps the method and the body.
    #[serde(default = "permanent", deserialize_with = "text::redirect_status")]
    #[schemars(schema_with = "schema::redirect_status")]
    pub status: StatusCode,
    /// `http` or `https`.
    pub scheme: Option<Scheme>,
    /// A host like `www.example.com`, with a port if it has one.
    pub host: Option<Spanned<String>>,
    /// The port beside the host that the client asked for; that of the scheme when left out.
    pub port: Option<Spanned<NonZeroU16>>,
    /// The whole path.
    pub path: Option<Spanned<String>>,
    /// The whole query, without its `?`; empty takes it off.
    pub query: Option<Spanned<String>>,
}

const fn permanent() -> StatusCode {
    StatusCode::PERMANENT_REDIRECT
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// The same answer to everybody.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Respond {
    /// From 200 to 599.
    #[serde(deserialize_with = "text::final_status")]
    #[schemars(schema_with = "schema::final_status")]
    pub status: StatusCode,
    /// Headers by their names.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// The body; none when left out.
    pub body: Option<Spanned<String>>,
    /// What the body is. `text/plain; charset=utf-8`.
    pub content_type: Option<Spanned<String>>,
}

/// What becomes of the path: `prefix`, or `regex` and `replacement`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PathRewrite {
    /// Stands in place of the route's `path`.
    pub prefix: Option<Spanned<String>>,
    /// What of the path is replaced, where it first matches. The path is looked at as it was sent, without its query, and
    /// stays as it is without a match.
    pub regex: Option<Spanned<String>>,
    /// What stands in its place: `$1` is a group of the expression, and so is `${name}`, which a file writes as `$${name}`,
    /// since it is no reference to the environment; `$$` is a dollar.
    pub replacement: Option<Spanned<String>>,
}
