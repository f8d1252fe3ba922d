//! The file, as serde reads it. A layer's section is the layer's own policy type.

mod load;
mod tree;
mod environment;
mod recover;
mod flaws;
mod spanned;
mod listener;
mod tls;
mod issuer;
mod limit;
mod sigv4;
mod reload;
mod folder;
mod upstream;
mod discover;
mod route;
mod answer;
mod cors;
mod security_headers;
mod compression;
mod secret;
mod text;
mod trace;
mod schema;
mod written;
mod missing;
mod problem;

pub use answer::{PathRewrite, Redirect, Respond, Scheme};
pub use compression::{Compression, Encoding, Level};
pub use cors::Cors;
pub use discover::Discover;
pub(crate) use flaws::Flaws;
pub use folder::{Files, Folder};
pub use issuer::{Issuer, Key};
pub use limit::{Cost, Edge, Exempt, KeySources, Limit, Store};
pub use listener::{Address, ClientLimits, ClientTimeouts, Listener, ProxyProtocol, SocketMode};
pub use load::{Reading, load, read};
pub(crate) use problem::nearest;
pub use problem::{Problem, Problems};
pub use reload::Reload;
pub use route::{JwtAuth, Route};
pub use schema::schema;
pub use secret::Secret;
pub use security_headers::{Hsts, Said, SecurityHeaders, StrictTransportSecurity};
pub use sigv4::{SigV4Sign, SigV4Verify};
pub use spanned::Spanned;
pub use tls::{ClientCertificates, KeyPair, Tls, TlsVersion};
pub use trace::Trace;
pub use tree::Format;
pub use upstream::{Credentials, HttpVersion, Pool, Replica, Upstream, UpstreamTimeouts, Url};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use portcullis_drain::Deadlines;
use portcullis_forwarded::{Addresses, ForwardedPolicy, Pseudonym};
use portcullis_host_strip::{ClientHost, HopByHop};
use portcullis_request_guard::Policy;
use portcullis_request_id::RequestIdPolicy;
use schemars::JsonSchema;
use serde::Deserialize;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
    /// Which requests are traced, and where their spans are sent; none when left out.
    pub trace: Option<Spanned<Trace>>,
    /// How the gateway stops.
    #[serde(default)]
    pub drain: Deadlines,
    /// When the file is read again, and what becomes of the keys that are gone then.
    #[serde(default)]
    pub reload: Reload,
    /// Which proxies are believed when they say who the client is, and what upstreams are told.
    #[serde(default)]
    pub forwarded: ForwardedPolicy,
    /// By what name the gateway adds itself to `Via`; a request that has been here before is refused. Neither when left out.
    pub via: Option<Pseudonym>,
    /// Who is let in, by address.
    #[serde(default)]
    pub addresses: Addresses,
    /// Whose ids of requests are believed, and what new ones look like.
    #[serde(default)]
    pub request_id: RequestIdPolicy,
    /// What every request must be, before it has a route. Without a ceiling here a URI may have 8 KiB, and the headers 64 KiB in
    /// 100 lines.
    #[serde(default)]
    pub request_guard: Policy,
    /// What becomes of a request that names no host, or two.
    #[serde(default)]
    pub client_host: ClientHost,
    /// What is taken off between two hops.
    #[serde(default)]
    pub hop_by_hop: HopByHop,
    /// What every request is under, whichever route it is for.
    #[serde(default)]
    pub edge: Edge,
    /// How much of whom, and how many at once, by name.
    #[serde(default)]
    pub limit: BTreeMap<String, Spanned<Limit>>,
    /// Where machines keep limits together, by name.
    #[serde(default)]
    pub store: BTreeMap<String, Spanned<Store>>,
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
    pub folder: Folder,
}

/// The listener of operators and probes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Admin {
    /// Address and port; port 0 lets the system choose.
    #[serde(deserialize_with = "text::address")]
    #[schemars(schema_with = "schema::address")]
    pub address: SocketAddr,
    /// Between two probes of a replica, which are TCP connections. 10 s.
    #[serde(
        default = "ten_seconds",
        deserialize_with = "text::duration",
        serialize_with = "schema::write"
    )]
    #[schemars(schema_with = "schema::duration")]
    pub probe_interval: Duration,
    /// What operators show, as a bearer token, to change something: to have the file read again, to take a replica out. Needed
    /// where others than this machine, or the status page, are to do that.
    pub token: Option<Spanned<Secret>>,
}

/// What is written to standard output.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Log {
    /// `json` or `text`; text on a terminal and JSON elsewhere when left out.
    pub format: Option<LogFormat>,
    /// A filter such as `info` or `info,portcullis::upstream=debug`. `info`.
    pub level: Option<Spanned<String>>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
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
