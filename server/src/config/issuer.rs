use std::path::PathBuf;
use std::time::Duration;

use portcullis_jwt_auth::{Algorithm, RefreshPolicy};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, Spanned, schema, text};

/// One who issues tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Issuer {
    /// The exact `iss` of its tokens. A route with several issuers needs it of each.
    pub issuer: Option<String>,
    /// Who the tokens must be for: any of these. `aud` is not looked at when left out.
    #[serde(default)]
    pub audience: Vec<String>,
    /// What the tokens are signed with. An issuer has these, or `jwks_url`, or `discovery`.
    pub keys: Option<Spanned<Vec<Key>>>,
    /// Where its JSON Web Key Set is, over https, or http within this machine.
    pub jwks_url: Option<Spanned<String>>,
    /// Whether its document says where the set is (`OpenID` Connect Discovery); `issuer` is then its URL.
    #[serde(default)]
    pub discovery: bool,
    /// Certificates to trust besides the public ones when it is asked, in a PEM file.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// When it is asked, and for how long its keys are used; the layer's own defaults when left out.
    pub refresh: Option<Spanned<RefreshPolicy>>,
    /// How far clocks may differ. 60 s.
    #[serde(default, deserialize_with = "text::some_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub leeway: Option<Duration>,
}

/// One key of an issuer, or a file with several: exactly one of `secret`, `pem` and `jwks`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Key {
    /// A shared secret, for HS256, HS384 and HS512.
    pub secret: Option<Spanned<Secret>>,
    /// A file with a public key in PEM.
    pub pem: Option<PathBuf>,
    /// A file with a JSON Web Key Set.
    pub jwks: Option<PathBuf>,
    /// What the key may be used with. Needed with `secret` and `pem`; a set says so itself.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// The `kid` of tokens signed with it; of any when left out.
    pub kid: Option<String>,
}
