use std::time::Duration;

use portcullis_forwarded::Addresses;
use portcullis_header_inject::HeaderInject;
use portcullis_host_strip::Upgrade;
use portcullis_jwt_auth::{
    CacheLimits, ClaimPath, ClaimRule, ResourceMetadata, ScopeRule, TokenSource, Typ,
};
use portcullis_request_guard::Policy;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Compression, Cors, PathRewrite, Redirect, Respond, SecurityHeaders, SigV4Verify, Spanned,
    schema, text,
};

/// Which requests go where, and what happens to them on the way.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["upstream"] },
    { "required": ["redirect"] },
    { "required": ["respond"] },
]))]
#[non_exhaustive]
pub struct Route {
    /// The name in logs and metrics; its path when left out.
    pub name: Option<String>,
    /// The start of the path, up to a segment boundary; the longest that matches wins.
    pub path: Spanned<String>,
    /// Exact hosts, and wildcards like `*.example.com`; any when left out.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// Methods; any when left out.
    #[serde(default, deserialize_with = "text::methods")]
    #[schemars(with = "Vec<String>")]
    pub methods: Vec<http::Method>,
    /// Who is let in, by address, of those that the whole gateway lets in.
    #[serde(default)]
    pub addresses: Addresses,
    /// Takes `path` off before the request goes on.
    #[serde(default)]
    pub strip_prefix: bool,
    /// Takes the name of a bucket from the host, too, as S3 clients may put it: a request to `photos.s3.example.com` is for
    /// `/photos/…` if this is `s3.example.com`. From the path alone when left out.
    pub virtual_host: Option<Spanned<String>>,
    /// Changes the path before the request goes on, or is redirected.
    pub rewrite: Option<Spanned<PathRewrite>>,
    /// The name of a section `[upstream.…]`. A route has this, or `redirect`, or `respond`.
    pub upstream: Option<Spanned<String>>,
    /// Sends clients elsewhere.
    pub redirect: Option<Spanned<Redirect>>,
    /// Answers everybody the same.
    pub respond: Option<Spanned<Respond>>,
    /// What pages of other origins may do. Preflights are answered before anybody asks for a credential.
    pub cors: Option<Spanned<Cors>>,
    /// What browsers are told to be careful about, by each response, refusals included.
    pub security_headers: Option<Spanned<SecurityHeaders>>,
    /// Compresses responses. Not when left out.
    pub compression: Option<Spanned<Compression>>,
    /// What its requests must be, besides what all must. Paths are judged by `default` when it says nothing of them, or by `s3` on
    /// routes to S3.
    pub request_guard: Option<Spanned<Policy>>,
    /// Lets only requests with a valid token through.
    pub jwt_auth: Option<Spanned<JwtAuth>>,
    /// Lets only requests through that a client has signed with AWS Signature Version 4, by keys of the gateway's own.
    pub sigv4_verify: Option<Spanned<SigV4Verify>>,
    /// Names of sections `[limit.…]` with a `rate`: a request takes of all of them, or of none.
    #[serde(default)]
    pub rate_limit: Vec<Spanned<String>>,
    /// The name of a section `[limit.…]` with a `concurrency`.
    pub concurrency_limit: Option<Spanned<String>>,
    /// Sets and removes headers. Values may come from claims, as `claim:sub` does.
    pub header_inject: Option<Spanned<HeaderInject>>,
    /// Which upgrades of the connection get through, to become tunnels: `"websocket"`, `{ tokens = ["mqtt"] }`,
    /// `"preserve"`. None when left out.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// The most that a request may take in all, its bodies included; a tunnel that it makes has no such limit. No limit
    /// when left out.
    #[serde(default, deserialize_with = "text::some_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub timeout: Option<Duration>,
}

/// Whose tokens a route asks for, where they are, and what they must say.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtAuth {
    /// Names of sections `[issuer.…]`.
    pub issuers: Vec<Spanned<String>>,
    /// Where a token may be, in this order; `bearer` alone when left out.
    pub sources: Option<Vec<TokenSource>>,
    /// What a token must say: all of these.
    #[serde(default)]
    pub claims: Vec<ClaimRule>,
    /// Claims that must be there, whatever they say.
    #[serde(default)]
    pub require: Vec<ClaimPath>,
    /// What a token must be allowed: all of these.
    #[serde(default)]
    pub scopes: Vec<ScopeRule>,
    /// The kinds of tokens, by their `typ`; any when left out.
    #[serde(default)]
    pub typ: Typ,
    /// The most since a token was issued. No limit when left out.
    #[serde(default, deserialize_with = "text::some_duration")]
    #[schemars(schema_with = "schema::duration")]
    pub max_age: Option<Duration>,
    /// Lets requests without a token through; a bad token is still refused.
    #[serde(default)]
    pub optional: bool,
    /// Lets CORS preflights through, which carry no token.
    #[serde(default)]
    pub allow_preflight: bool,
    /// How many verified tokens are remembered, and for how long.
    #[serde(default)]
    pub cache: CacheLimits,
    /// The realm of challenges.
    pub realm: Option<String>,
    /// Tells clients whom to ask for a token: served at the well-known path of the resource, named in challenges.
    pub resource_metadata: Option<Spanned<ResourceMetadata>>,
}
