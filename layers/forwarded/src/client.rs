use std::net::IpAddr;

use http::uri::{Authority, Scheme};

use crate::host::Host;
use crate::resolve::Way;

/// Who the client is: found in the extensions of the request.
///
/// It is made from what the connection says, and, as far as those are trusted, from what proxies say. There is none where
/// nobody who is trusted says an address, as over a Unix socket.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) is_known: bool,
    /// Here, since it is an extension less.
    pub(crate) way: Way,
}

impl Client {
    /// The right-most address that is not that of a trusted proxy; if all are, the left-most.
    ///
    /// An IPv4 address that is mapped into IPv6 is itself.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The client's port, if it is known.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whom the connection is from: the client, or a proxy. A proxy at the other end of a Unix socket has no address.
    #[must_use]
    pub const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Whether the client came by `https` or `http`: to the first proxy that is trusted, if there is one.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.way.scheme
    }

    /// The authority that the client asked for, if it named one. One that it named in `Host` is parsed each time.
    #[must_use]
    pub fn host(&self) -> Option<Authority> {
        self.way.host.as_ref().and_then(Host::to_authority)
    }

    /// Whether the address is the client's. It is not when a trusted proxy did not say whom it had the request from, or not in a
    /// form that makes sense: then it is the address of that proxy.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }
}

/// Whichever way it came.
impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.address, it.port, it.peer, it.is_known);
        of(self) == of(other) && self.scheme() == other.scheme() && self.host() == other.host()
    }
}

impl Eq for Client {}
