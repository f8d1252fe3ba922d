use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use http::uri::Scheme;

/// The other end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a peer does nothing until a layer is told of it"]
pub struct Peer {
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) scheme: Option<Scheme>,
}

impl Peer {
    /// A peer at an address.
    pub const fn new(address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), port: None, scheme: None }
    }

    /// A peer at the other end of a Unix socket, which has no address.
    pub const fn unix() -> Self {
        Self { address: None, port: None, scheme: None }
    }

    /// Its address, if it has one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether it came by TLS. If nobody says so, the scheme of the request's URI counts, or else it is `http`.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { port: Some(address.port()), ..Self::new(address.ip()) }
    }
}

/// Says whom a request's connection is from.
///
/// Closures over the parts of a request do: `|parts: &Parts| parts.extensions.get::<SocketAddr>().copied().map(Peer::from)`.
pub trait PeerOf {
    /// The peer; none if nobody knows: then there is no client, and the next hop is told nothing.
    fn peer(&self, parts: &Parts) -> Option<Peer>;
}

impl<F: Fn(&Parts) -> Option<Peer>> PeerOf for F {
    fn peer(&self, parts: &Parts) -> Option<Peer> {
        self(parts)
    }
}
