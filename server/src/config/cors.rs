use std::time::Duration;

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Spanned, schema, text};

/// Which pages of other origins may send requests by the browsers of their readers, and see what comes back.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cors {
    /// Origins like `https://app.example.com`, and with `https://*.example.com` all below a name; `*` alone is any.
    pub origins: Vec<Spanned<String>>,
    /// Methods besides those that any page may use. Those of the route, or else GET, HEAD and POST.
    #[serde(default, deserialize_with = "text::methods")]
    #[schemars(with = "Vec<String>")]
    pub methods: Vec<Method>,
    /// Headers that requests may have besides those that any page may set; `*` alone is any. None when left out.
    #[serde(default)]
    pub headers: Vec<Spanned<String>>,
    /// Headers of responses that pages may read besides those that any page may; `*` alone is any. None when left out.
    #[serde(default)]
    pub expose: Vec<Spanned<String>>,
    /// Whether browsers send cookies and credentials that they know, and show what comes back to them. Then nothing is `*`.
    #[serde(default)]
    pub credentials: bool,
    /// How long browsers remember the answer to a preflight; they have limits of their own. Five seconds when left out.
    #[serde(default, deserialize_with = "text::some_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub max_age: Option<Duration>,
}
