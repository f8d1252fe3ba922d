use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::{ClientLimits, ClientTimeouts, Listener, ProxyProtocol};
use crate::connection::Ending;

use super::ListenerTls;
use super::quiet::Quiet;

/// On what terms the clients of a listener are served: what all its workers have in common.
#[derive(Debug)]
pub struct Terms {
    timeouts: ClientTimeouts,
    limits: ClientLimits,
    proxy_protocol: Option<ProxyProtocol>,
    tls: Option<Arc<ListenerTls>>,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    quiet: Mutex<BTreeMap<&'static str, Quiet>>,
}

/// A connection that counts, until this is dropped.
#[derive(Debug)]
#[must_use = "dropped, it counts no more"]
pub struct Admission {
    _connection: OwnedSemaphorePermit,
    address: Option<Counted>,
}

impl Terms {
    /// Those of a section, whose TLS has been made.
    #[must_use]
    pub fn new(section: &Listener, tls: Option<Arc<ListenerTls>>) -> Self {
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let limits = section.limits;
        Self {
            timeouts: section.timeouts,
            limits,
            proxy_protocol: section.proxy_protocol.as_ref().map(|known| known.get_ref().clone()),
            tls,
            connections: semaphore(limits.connections.get()),
            handshakes: semaphore(limits.handshakes.get()),
            addresses: Arc::default(),
            quiet: Mutex::default(),
        }
    }

    /// How long a client may take.
    #[must_use]
    pub const fn timeouts(&self) -> &ClientTimeouts {
        &self.timeouts
    }

    /// How much clients may have.
    #[must_use]
    pub const fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// The TLS that is spoken, if any is.
    #[must_use]
    pub const fn tls(&self) -> Option<&Arc<ListenerTls>> {
        self.tls.as_ref()
    }

    /// Whether a peer has to say whom it speaks for.
    #[must_use]
    pub fn wants_header(&self, peer: Option<SocketAddr>) -> bool {
        let peer = peer.map(|peer| peer.ip());
        self.proxy_protocol.as_ref().is_some_and(|proxies| proxies.is_required_of(peer))
    }

    /// Counts a connection. That of a proxy is counted for its client, once that is known: see [`Terms::admit_client`].
    ///
    /// # Errors
    ///
    /// When there are as many as there may be, in all or of this peer.
    pub fn admit(&self, peer: Option<SocketAddr>) -> Result<Admission, Ending> {
        let connection = self.connections.clone().try_acquire_owned();
        let connection = connection.map_err(|_| Ending::TooManyConnections)?;
        let mut admission = Admission { _connection: connection, address: None };
        if let Some(peer) = peer.filter(|_| !self.wants_header(peer)) {
            self.admit_client(&mut admission, peer)?;
        }
        Ok(admission)
    }

    /// Counts a connection for its client.
    ///
    /// # Errors
    ///
    /// When that has as many as it may.
    pub fn admit_client(
        &self,
        admission: &mut Admission,
        client: SocketAddr,
    ) -> Result<(), Ending> {
        if let Some(most) = self.limits.connections_per_address {
            let counted = self.addresses.count(client.ip(), most.get());
            admission.address = Some(counted.ok_or(Ending::TooManyOfAddress)?);
        }
        Ok(())
    }

    /// Counts a handshake while the permit lives.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be.
    pub fn admit_handshake(&self) -> Result<OwnedSemaphorePermit, Ending> {
        self.handshakes.clone().try_acquire_owned().map_err(|_| Ending::TooManyHandshakes)
    }

    /// Whether to log that a client was refused for this reason, and how often it was not logged before.
    pub fn speak(&self, reason: &'static str) -> Option<u64> {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.entry(reason).or_default().speak(Instant::now())
    }
}

/// How many connections each client has. Who has none has no entry, so it is no larger than there are connections.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, u32>>);

impl Addresses {
    fn count(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Counted> {
        let block = block(address);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = known.entry(block).or_default();
        if *open >= most {
            return None;
        }
        *open += 1;
        Some(Counted { all: self.clone(), block })
    }
}

/// One connection of a client.
#[derive(Debug)]
struct Counted {
    all: Arc<Addresses>,
    block: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut known = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(&self.block) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(known.remove(&self.block)),
        }
    }
}

/// What one client has: with IPv6 that is a whole /64.
fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(limits: &str) -> Terms {
        let section = format!("address = '127.0.0.1:0'\nlimits = {{ {limits} }}");
        Terms::new(&toml::from_str(&section).unwrap(), None)
    }

    fn from(address: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(address.parse().unwrap(), 1))
    }

    #[test]
    fn there_are_no_more_connections_than_there_may_be() {
        let terms = terms("connections = 2");
        let (first, _second) =
            (terms.admit(None).unwrap(), terms.admit(from("192.0.2.1")).unwrap());

        assert_eq!(terms.admit(None).unwrap_err(), Ending::TooManyConnections);

        drop(first);
        assert!(terms.admit(None).is_ok());
    }

    #[test]
    fn a_client_has_no_more_than_its_own_and_others_have_theirs() {
        let terms = terms("connections_per_address = 1");
        let first = terms.admit(from("2001:db8::1")).unwrap();
        let _v4 = terms.admit(from("192.0.2.1")).unwrap();

        // The same /64, and the next one; a refused connection does not count in all either.
        assert_eq!(terms.admit(from("2001:db8::2:1")).unwrap_err(), Ending::TooManyOfAddress);
        assert_eq!(terms.admit(from("192.0.2.1")).unwrap_err(), Ending::TooManyOfAddress);
        let _next = terms.admit(from("2001:db8:0:1::1")).unwrap();
        let _v4 = terms.admit(from("192.0.2.2")).unwrap();
        assert_eq!(terms.connections.available_permits(), 20_000 - 4);

        drop(first);
        assert!(terms.admit(from("2001:db8::2:1")).is_ok());
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let terms = terms("connections_per_address = 9");

        drop((terms.admit(from("192.0.2.1")), terms.admit(from("192.0.2.1"))));

        assert!(terms.addresses.0.lock().unwrap().is_empty());
    }

    #[test]
    fn there_are_no_more_handshakes_than_there_may_be() {
        let terms = terms("handshakes = 1");
        let first = terms.admit_handshake().unwrap();

        assert_eq!(terms.admit_handshake().unwrap_err(), Ending::TooManyHandshakes);

        drop(first);
        assert!(terms.admit_handshake().is_ok());
    }
}
