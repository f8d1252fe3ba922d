use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use portcullis_forwarded::Proxy;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Spanned, Tls, schema, text};

/// Where clients connect, and on what terms.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Listener {
    /// One address, or a list of them.
    #[serde(rename = "address", deserialize_with = "text::one_or_many")]
    #[schemars(schema_with = "schema::addresses")]
    pub addresses: Vec<Address>,
    /// Who may connect to its unix sockets: the permissions of the files, in octal. `"0660"`: owner and group.
    pub socket_mode: Option<Spanned<SocketMode>>,
    /// Whose PROXY protocol header says where a connection comes from. Nobody's when left out.
    pub proxy_protocol: Option<Spanned<ProxyProtocol>>,
    /// Serves TLS, with HTTP/2 and HTTP/1.1 by ALPN; plain HTTP when left out.
    pub tls: Option<Spanned<Tls>>,
    /// How long a client may take.
    #[serde(default)]
    pub timeouts: ClientTimeouts,
    /// How much clients may have.
    #[serde(default)]
    pub limits: ClientLimits,
}

/// Something that clients can connect to.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
#[non_exhaustive]
pub enum Address {
    /// `127.0.0.1:8080`, `[::1]:8080`; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// `unix:PATH`: a socket in the file system.
    Unix(PathBuf),
    /// `systemd:NAME`: a socket that the process was started with, by its `FileDescriptorName`.
    Inherited(String),
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Inherited(name.to_owned())),
            _ => text.parse().map(Self::Tcp).map_err(|_| ADDRESS_FORM),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(name) => write!(f, "systemd:{name}"),
        }
    }
}

const ADDRESS_FORM: &str = "an address with its port, like \"127.0.0.1:8080\" or \"[::1]:8080\", or \
    \"unix:PATH\", or \"systemd:NAME\"";

/// The permissions of a unix socket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-7]{1,4}$"))]
pub struct SocketMode(u32);

impl SocketMode {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl TryFrom<String> for SocketMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| *bits <= 0o777);
        bits.map(Self).ok_or("permissions in octal, like \"0660\"")
    }
}

/// Who says by the PROXY protocol (version 1 or 2) where connections come from.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProxyProtocol {
    /// Networks, addresses, and `unix` for whoever connects to a unix socket. From these the header is required; from others
    /// none is read, so that one they send is no HTTP and no TLS.
    pub from: Vec<Proxy>,
}

impl ProxyProtocol {
    /// Whether the header is required of this peer, which has no address on a unix socket.
    #[must_use]
    pub fn is_required_of(&self, peer: Option<IpAddr>) -> bool {
        self.from.iter().any(|proxy| proxy.is_at(peer))
    }
}

/// How long a client may take; each limit is on its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientTimeouts {
    /// The header of the PROXY protocol. 5 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub proxy_header: Duration,
    /// The TLS handshake. 10 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub tls_handshake: Duration,
    /// From the connection, or the end of its handshake, to its first byte. 30 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub first_byte: Duration,
    /// From a request's first byte to the end of its headers. 30 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub request_header: Duration,
    /// Between two pieces of a request body. 60 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub request_body: Duration,
    /// Between two pieces of a response that the client takes. 60 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub send: Duration,
    /// Between two requests of a connection. 75 s.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub keep_alive: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            proxy_header: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            request_header: Duration::from_secs(30),
            request_body: Duration::from_secs(60),
            send: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// How much the clients of a listener may have, of all its workers together.
///
/// How large a head may be is said in `request_guard`, for all listeners.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Connections at a time. 20,000.
    pub connections: NonZeroUsize,
    /// Connections at a time of one client: an address of IPv4, or a /64 of IPv6. No limit when left out, since all could
    /// come from one balancer.
    pub connections_per_address: Option<NonZeroU32>,
    /// TLS handshakes at a time. 1,000.
    pub handshakes: NonZeroUsize,
    /// Requests at a time on one HTTP/2 connection. 256.
    pub streams: NonZeroU32,
    /// Requests that a client may cancel before they are answered, on one HTTP/2 connection, if they are more than half of
    /// all that it sent. 200.
    pub resets: NonZeroU32,
    /// How old a connection may become, give or take a tenth: HTTP/1 closes with the next response, and HTTP/2 says
    /// GOAWAY. 1 h.
    #[serde(deserialize_with = "text::duration", serialize_with = "schema::write")]
    #[schemars(schema_with = "schema::duration")]
    pub age: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        const fn usize(count: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(count - 1)
        }
        const fn u32(count: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(count - 1)
        }
        Self {
            connections: usize(20_000),
            connections_per_address: None,
            handshakes: usize(1_000),
            streams: u32(256),
            resets: u32(200),
            age: Duration::from_secs(3600),
        }
    }
}
