//! The file, as serde reads it. A layer's section is the layer's own policy type.

mod load;
mod environment;
mod secret;
mod problem;

pub(crate) use load::nearest;
pub use load::{load, parse};
pub use problem::{Problem, Problems};
pub use secret::Secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use portcullis_drain::Deadlines;
use portcullis_header_inject::HeaderInject;
use portcullis_host_strip::{HopByHop, HostPolicy};
use portcullis_jwt_auth::{Algorithm, ClaimRule, TokenSource};
use portcullis_request_guard::Ceilings;
use portcullis_sigv4_sign::{Payload, Region, ServiceName, SignedHeaders};
use serde::Deserialize;
use toml::Spanned;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Threads that serve; one for each core when left out.
    pub workers: Option<NonZeroUsize>,
    /// Where clients connect.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
    /// Health, readiness and metrics; not served when left out.
    pub admin: Option<Admin>,
    /// What is written to standard output.
    #[serde(default)]
    pub log: Log,
    /// How the gateway stops.
    #[serde(default)]
    pub drain: Deadlines,
    /// What no request may exceed.
    #[serde(default)]
    pub request_guard: Ceilings,
    /// What is taken off between two hops.
    #[serde(default)]
    pub hop_by_hop: HopByHop,
    /// Keys for signing, by name.
    #[serde(default)]
    pub credentials: BTreeMap<String, Credentials>,
    /// Whose tokens are trusted, by name.
    #[serde(default)]
    pub issuer: BTreeMap<String, Issuer>,
    /// Where requests go, by name.
    #[serde(default)]
    pub upstream: BTreeMap<String, Spanned<Upstream>>,
    /// Which requests go where.
    #[serde(default, rename = "route")]
    pub routes: Vec<Spanned<Route>>,
    /// The folder that relative paths in the file start from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// One address that clients connect to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Serves TLS, with HTTP/2 and HTTP/1.1 by ALPN; plain HTTP when left out.
    pub tls: Option<Spanned<Tls>>,
    /// How long a client may take.
    #[serde(default)]
    pub timeouts: ClientTimeouts,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How long a client may take; each limit is on its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientTimeouts {
    /// The TLS handshake. 10 s.
    #[serde(deserialize_with = "duration")]
    pub tls_handshake: Duration,
    /// From a request's first byte to the end of its headers. 30 s.
    #[serde(deserialize_with = "duration")]
    pub request_header: Duration,
    /// Between two pieces of a request body. 60 s.
    #[serde(deserialize_with = "duration")]
    pub request_body: Duration,
    /// Between two pieces of a response that the client takes. 60 s.
    #[serde(deserialize_with = "duration")]
    pub send: Duration,
    /// Between two requests of a connection. 75 s.
    #[serde(deserialize_with = "duration")]
    pub keep_alive: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(10),
            request_header: Duration::from_secs(30),
            request_body: Duration::from_secs(60),
            send: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// The listener of operators and probes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Admin {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Between two probes of a replica, which are TCP connections. 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub probe_interval: Duration,
}

/// What is written to standard output.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Log {
    /// `json` or `text`; text on a terminal and JSON elsewhere when left out.
    pub format: Option<LogFormat>,
    /// A filter such as `info` or `info,portcullis::upstream=debug`. `info`.
    pub level: Option<Spanned<String>>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A key pair of the kind that AWS issues.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Credentials {
    /// The access key id.
    pub access_key: Spanned<Secret>,
    /// The secret access key.
    pub secret_key: Spanned<Secret>,
    /// The token of a temporary session.
    pub session_token: Option<Spanned<Secret>>,
}

/// One who issues tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Issuer {
    /// The exact `iss` of its tokens. A route with several issuers needs it of each.
    pub issuer: Option<String>,
    /// Who the tokens must be for: any of these. `aud` is not looked at when left out.
    #[serde(default)]
    pub audience: Vec<String>,
    /// What the tokens are signed with.
    pub keys: Spanned<Vec<Key>>,
    /// How far clocks may differ. 60 s.
    #[serde(default, deserialize_with = "some_duration")]
    pub leeway: Option<Duration>,
}

/// One key of an issuer, or a file with several: exactly one of `secret`, `pem` and `jwks`.
#[derive(Clone, Debug, Deserialize)]
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

/// Where requests go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Upstream {
    /// The servers. For now exactly one.
    #[serde(rename = "replica")]
    pub replicas: Spanned<Vec<Replica>>,
    /// Signs each request with AWS Signature Version 4.
    pub sigv4_sign: Option<Spanned<SigV4Sign>>,
    /// The `Host` that the upstream sees: the replica's own when left out.
    pub host: Option<HostPolicy>,
    /// Certificates to trust besides the public ones, in a PEM file.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeouts: UpstreamTimeouts,
    /// Connections that are kept for later requests.
    #[serde(default)]
    pub pool: Pool,
}

/// One server of an upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Replica {
    /// Its name in logs and metrics.
    pub name: String,
    /// `http` or `https`, host, port, and a path to put before that of the request.
    pub url: Spanned<Url>,
}

/// The URL of a replica.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamTimeouts {
    /// To resolve the name and open a connection. 5 s.
    #[serde(deserialize_with = "duration")]
    pub connect: Duration,
    /// The TLS handshake. 5 s.
    #[serde(deserialize_with = "duration")]
    pub tls_handshake: Duration,
    /// From the end of the request to the headers of the response. 60 s.
    #[serde(deserialize_with = "duration")]
    pub response_header: Duration,
    /// Between two pieces of a response body. 60 s.
    #[serde(deserialize_with = "duration")]
    pub response_body: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(5),
            response_header: Duration::from_secs(60),
            response_body: Duration::from_secs(60),
        }
    }
}

/// Connections that are kept for later requests, in each worker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pool {
    /// The most that are kept idle for a replica. 256.
    pub max_idle: usize,
    /// For how long. 30 s: less than common servers wait before they close.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max_idle: 256, idle_timeout: Duration::from_secs(30) }
    }
}

/// How requests to an upstream are signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SigV4Sign {
    /// The service's name in AWS, such as `s3`.
    pub service: ServiceName,
    /// The region, such as `eu-west-1`.
    pub region: Region,
    /// The name of a section `[credentials.…]`.
    pub credentials: Spanned<String>,
    /// How bodies are signed; the layer's default for the service when left out.
    pub payload: Option<Payload>,
    /// Headers to sign besides `host`, `content-type`, `content-md5` and `x-amz-*`.
    #[serde(default)]
    pub signed_headers: SignedHeaders,
    /// Lets bodies go unsigned over plain HTTP, too.
    #[serde(default)]
    pub unsigned_over_http: bool,
}

/// Which requests go where, and what happens to them on the way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Route {
    /// The name in logs and metrics; its path when left out.
    pub name: Option<String>,
    /// The start of the path, up to a segment boundary; the longest that matches wins.
    pub path: String,
    /// Exact hosts, and wildcards like `*.example.com`; any when left out.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Methods; any when left out.
    #[serde(default, deserialize_with = "methods")]
    pub methods: Vec<http::Method>,
    /// Takes `path` off before the request goes on.
    #[serde(default)]
    pub strip_prefix: bool,
    /// The name of a section `[upstream.…]`.
    pub upstream: Spanned<String>,
    /// Lets only requests with a valid token through.
    pub jwt_auth: Option<Spanned<JwtAuth>>,
    /// Sets and removes headers.
    #[serde(default)]
    pub header_inject: HeaderInject,
    /// The most that a request may take in all, its bodies included. No limit when left out.
    #[serde(default, deserialize_with = "some_duration")]
    pub timeout: Option<Duration>,
}

/// Whose tokens a route asks for, where they are, and what they must say.
#[derive(Clone, Debug, Deserialize)]
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
    /// The realm of challenges.
    pub realm: Option<String>,
}

fn duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(Duration::ZERO) | Err(_) => Err(serde::de::Error::custom(
            "a duration above zero like \"250ms\", \"30s\" or \"5m\" is needed here",
        )),
        Ok(duration) => Ok(duration),
    }
}

fn some_duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}

fn methods<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<http::Method>, D::Error> {
    let names = Vec::<String>::deserialize(input)?;
    let method = |name: String| match name.parse() {
        Ok(method) if name == name.to_ascii_uppercase() => Ok(method),
        _ => Err(serde::de::Error::custom(format!("`{name}` is no method like \"GET\""))),
    };
    names.into_iter().map(method).collect()
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
