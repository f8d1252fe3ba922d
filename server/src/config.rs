//! The file, as serde reads it. A layer's section is the layer's own policy type.

mod load;
mod tree;
mod environment;
mod recover;
mod flaws;
mod spanned;
mod issuer;
mod sigv4;
mod upstream;
mod route;
mod secret;
mod text;
mod problem;

pub(crate) use flaws::Flaws;
pub use issuer::{Issuer, Key};
pub use load::{Reading, load, read};
pub(crate) use problem::nearest;
pub use problem::{Problem, Problems};
pub use route::{JwtAuth, Route};
pub use secret::Secret;
pub use sigv4::{SigV4Sign, SigV4Verify};
pub use spanned::Spanned;
pub use tree::Format;
pub use upstream::{Credentials, HttpVersion, Pool, Replica, Upstream, UpstreamTimeouts, Url};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_drain::Deadlines;
use portcullis_host_strip::HopByHop;
use portcullis_request_guard::Ceilings;
use serde::Deserialize;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Threads that serve; one for each core when left out.
    pub workers: Option<NonZeroUsize>,
    /// Where clients connect.
    #[serde(default, rename = "listener")]
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
    /// Keys for signing, the gateway's own and those that it gives to clients, by name.
    #[serde(default)]
    pub credentials: BTreeMap<String, Spanned<Credentials>>,
    /// Whose tokens are trusted, by name.
    #[serde(default)]
    pub issuer: BTreeMap<String, Spanned<Issuer>>,
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
    #[serde(deserialize_with = "text::address")]
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
    #[serde(deserialize_with = "text::duration")]
    pub tls_handshake: Duration,
    /// From a request's first byte to the end of its headers. 30 s.
    #[serde(deserialize_with = "text::duration")]
    pub request_header: Duration,
    /// Between two pieces of a request body. 60 s.
    #[serde(deserialize_with = "text::duration")]
    pub request_body: Duration,
    /// Between two pieces of a response that the client takes. 60 s.
    #[serde(deserialize_with = "text::duration")]
    pub send: Duration,
    /// Between two requests of a connection. 75 s.
    #[serde(deserialize_with = "text::duration")]
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
    #[serde(deserialize_with = "text::address")]
    pub address: SocketAddr,
    /// Between two probes of a replica, which are TCP connections. 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "text::duration")]
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

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
