use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use portcullis_circuit_breaker::CircuitBreakerPolicy;
use portcullis_host_strip::HostPolicy;
use portcullis_replica_failover::{FailoverPolicy, HealthCheck};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Discover, Secret, SigV4Sign, Spanned, schema, text};

/// Where requests go.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Upstream {
    /// The servers, which can all do the same.
    #[serde(rename = "replica")]
    pub replicas: Option<Spanned<Vec<Replica>>>,
    /// Finds them by DNS, instead of a list.
    pub discover: Option<Spanned<Discover>>,
    /// Signs each request with AWS Signature Version 4.
    pub sigv4_sign: Option<Spanned<SigV4Sign>>,
    /// When a request goes from one replica to another.
    pub failover: Option<Spanned<FailoverPolicy>>,
    /// When a replica is not asked any more. Each has a circuit of its own; that of the only one just counts when this is
    /// left out.
    pub circuit_breaker: Option<CircuitBreakerPolicy>,
    /// How replicas are asked for their health. Without it they are probed for readiness alone, and none is left out.
    pub health_check: Option<HealthCheck>,
    /// The `Host` that the upstream sees: the replica's own when left out.
    pub host: Option<HostPolicy>,
    /// The version of HTTP that its replicas are asked in. `auto`.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// Certificates to trust besides the public ones, in a PEM file.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// The name that the certificates of all replicas must carry; that in the URL of each when left out. It is what they are
    /// asked for by SNI, too; `Host` is another matter.
    pub server_name: Option<Spanned<String>>,
    /// The certificate that the gateway shows the replicas, in a PEM file: its own first, then those that vouch for it.
    pub client_certificate: Option<Spanned<PathBuf>>,
    /// The private key of `client_certificate`, in a PEM file.
    pub client_key: Option<Spanned<PathBuf>>,
    /// Takes any certificate under any name, so that whoever is on the way can read and change all. For trials only.
    pub danger_accept_any_certificate: Option<Spanned<bool>>,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeouts: UpstreamTimeouts,
    /// Connections that are kept for later requests.
    #[serde(default)]
    pub pool: Pool,
}

impl Upstream {
    /// The replicas that are listed.
    #[must_use]
    pub fn listed(&self) -> &[Replica] {
        self.replicas.as_ref().map_or(&[], |replicas| replicas.get_ref())
    }

    /// Whether there is, or may be, another replica when one fails.
    #[must_use]
    pub fn has_several(&self) -> bool {
        self.discover.is_some() || self.listed().len() > 1
    }
}

/// One server of an upstream.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Replica {
    /// Its name in logs and metrics.
    pub name: Spanned<String>,
    /// `http` or `https`, host, port, and a path to put before that of the request.
    pub url: Spanned<Url>,
    /// A lower one is asked first, a higher one only when no replica below can be. 1.
    #[serde(default = "first")]
    pub priority: NonZeroU8,
    /// Its share of the requests among those of its priority, in the orders that weigh. 1.
    pub weight: Option<Spanned<NonZeroU32>>,
    /// Signs for this replica, in place of what the upstream says.
    pub sigv4_sign: Option<Spanned<SigV4Sign>>,
    /// How long this replica may take, in place of what the upstream says.
    pub timeouts: Option<UpstreamTimeouts>,
    /// The version of HTTP that this replica is asked in, in place of what the upstream says.
    pub http_version: Option<Spanned<HttpVersion>>,
}

/// In which version of HTTP a replica is asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/2 where TLS agrees on it, HTTP/1.1 otherwise.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2, which a replica without TLS must be known to speak.
    #[serde(rename = "2")]
    Http2,
}

const fn first() -> NonZeroU8 {
    NonZeroU8::MIN
}

/// The URL of a replica.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^https?://[^@?#]+$"))]
pub struct Url(Uri);

impl Url {
    /// The URL, which has a scheme (`http` or `https`), an authority and a path.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.0
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| URL_FORM.to_owned())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        if !known || host.is_none() || uri.query().is_some() {
            return Err(URL_FORM.to_owned());
        }
        Ok(Self(uri))
    }
}

const URL_FORM: &str = "a URL like `https://api.example.com:8443/base`: scheme http or https, host, \
    no user, no query";

/// How long an upstream may take; each limit is on its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamTimeouts {
    /// To resolve the name and open a connection. 5 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub connect: Duration,
    /// The TLS handshake. 5 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub tls_handshake: Duration,
    /// From the end of the request to the headers of the response. 60 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub response_header: Duration,
    /// Between two pieces of a response body. 60 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub response_body: Duration,
    /// Between two pieces that go through a tunnel, either way. 10 min.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub tunnel_idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(5),
            response_header: Duration::from_secs(60),
            response_body: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(600),
        }
    }
}

/// Connections that are kept for later requests, in each worker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pool {
    /// The most that are kept idle for a replica. 256.
    pub max_idle: usize,
    /// The most of HTTP/2 to a replica, each for up to 100 requests at once: what comes when they are full waits, for as
    /// long as a connection may take. 8.
    pub max_http2: NonZeroUsize,
    /// For how long. 30 s: less than common servers wait before they close.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub idle_timeout: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_idle: 256,
            max_http2: NonZeroUsize::MIN.saturating_add(7),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Keys of the kind that AWS issues: `access_key` and `secret_key`, a `profile_file`, `environment`, or `default_chain`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Credentials {
    /// The access key id.
    pub access_key: Option<Spanned<Secret>>,
    /// The secret access key.
    pub secret_key: Option<Spanned<Secret>>,
    /// The token of a temporary session.
    pub session_token: Option<Spanned<Secret>>,
    /// A shared credentials file, as the tools of AWS have it. Read again when it changes.
    pub profile_file: Option<PathBuf>,
    /// The profile in that file, or of `default_chain`. `default`; for the chain what `AWS_PROFILE` says, if it is set.
    pub profile: Option<String>,
    /// Takes them from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    #[serde(default)]
    pub environment: bool,
    /// Looks where the tools of AWS do, in their order: environment, shared configuration, web identity, the endpoint of
    /// a container (ECS, EKS), that of an EC2 instance. Neither single sign-on nor programs that print credentials. Only
    /// with the feature `aws-config`.
    #[serde(default)]
    pub default_chain: bool,
    /// The region whose STS that chain asks, where a role is assumed. What the environment or the profile says when left
    /// out.
    pub region: Option<String>,
}
