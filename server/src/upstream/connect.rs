use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{HttpVersion, UpstreamTimeouts};
use crate::telemetry::ReplicaMeters;

use super::http1::{Connection, Io};
use super::http2::Shared;
use super::pool::{Lease, Pool};
use super::{Error, Phase, Target};

/// How to open a connection to a replica.
#[derive(Clone)]
pub struct Connect {
    target: Arc<Target>,
    version: HttpVersion,
    tls: TlsConnector,
    /// For what becomes a tunnel, which HTTP/1.1 alone does here.
    tls_http1: TlsConnector,
    meters: ReplicaMeters,
}

impl Connect {
    /// Connects to `target` in this version of HTTP, with `tls` if it wants that, and counts in `meters`.
    #[must_use]
    pub fn new(
        target: Arc<Target>,
        version: HttpVersion,
        tls: &Arc<ClientConfig>,
        meters: ReplicaMeters,
    ) -> Self {
        let speaking = |protocols: &[&[u8]]| {
            let mut tls = ClientConfig::clone(tls);
            tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsConnector::from(Arc::new(tls))
        };
        let protocols: &[&[u8]] = match version {
            HttpVersion::Auto => &[H2, HTTP1],
            HttpVersion::Http1 => &[HTTP1],
            HttpVersion::Http2 => &[H2],
        };
        Self { target, version, tls: speaking(protocols), tls_http1: speaking(&[HTTP1]), meters }
    }

    /// Whether nothing but HTTP/2 is spoken.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.version == HttpVersion::Http2
    }

    /// The scheme of requests.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        self.target.scheme()
    }

    /// What is counted of the replica.
    #[must_use]
    pub const fn meters(&self) -> &ReplicaMeters {
        &self.meters
    }

    /// The replica's name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.target.name()
    }

    /// Opens a TCP connection: each address in turn, in the time that there is for all of them.
    ///
    /// # Errors
    ///
    /// The phase is [`Phase::Resolve`] or [`Phase::Connect`].
    pub async fn tcp(&self, timeouts: &UpstreamTimeouts) -> Result<TcpStream, Error> {
        let mut phase = Phase::Resolve;
        let connect = async {
            let mut last = None;
            for address in resolve(&self.target).await.map_err(|e| failed(Phase::Resolve, e))? {
                phase = Phase::Connect;
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = Some(error),
                }
            }
            Err(match last {
                Some(error) => failed(Phase::Connect, error),
                None => failed(Phase::Resolve, io::Error::other("the name has no address")),
            })
        };
        let connected = timeout(timeouts.connect, connect).await;
        let stream = connected.unwrap_or_else(|_| Err(Error::timed_out(phase, false)))?;
        // Requests go out whole; waiting for more to send only delays them.
        stream.set_nodelay(true).map_err(|error| failed(Phase::Connect, error))?;
        Ok(stream)
    }

    /// Opens a connection, of HTTP/1.1 if it is for a tunnel.
    pub(super) async fn open(
        &self,
        becomes_tunnel: bool,
        timeouts: &UpstreamTimeouts,
        pool: &Arc<Pool>,
    ) -> Result<Lease, Error> {
        let stream = self.tcp(timeouts).await?;
        self.meters.opened();
        let late = |_| Error::timed_out(Phase::Handshake, false);
        let Some(name) = self.target.server_name() else {
            if self.is_http2() && !becomes_tunnel {
                let begun = Shared::begin(TokioIo::new(stream), pool.freed().clone());
                return pool.share(&timeout(timeouts.tls_handshake, begun).await.map_err(late)??);
            }
            return Ok(Lease::http1(Connection::new(Io::Tcp(stream)), pool));
        };
        let handshake = async {
            let tls = if becomes_tunnel { &self.tls_http1 } else { &self.tls };
            let stream = tls.connect(name.clone(), stream).await;
            let stream = stream.map_err(|error| failed(Phase::Handshake, error))?;
            match stream.get_ref().1.alpn_protocol() {
                Some(H2) => {
                    Ok(Err(Shared::begin(TokioIo::new(stream), pool.freed().clone()).await?))
                }
                _ if self.is_http2() && !becomes_tunnel => {
                    let other = "the upstream does not speak HTTP/2";
                    Err(Error::failed(Phase::Handshake, false, other))
                }
                _ => Ok(Ok(stream)),
            }
        };
        match timeout(timeouts.tls_handshake, handshake).await.map_err(late)?? {
            Ok(stream) => Ok(Lease::http1(Connection::new(Io::Tls(Box::new(stream))), pool)),
            Err(shared) => pool.share(&shared),
        }
    }
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect").field("target", &self.target).finish_non_exhaustive()
    }
}

async fn resolve(target: &Target) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = target.address();
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => Ok(lookup_host((host, port)).await?.collect()),
    }
}

fn failed(phase: Phase, error: io::Error) -> Error {
    Error::failed(phase, false, error)
}

/// What HTTP/2 and HTTP/1.1 are called when TLS is agreed on (RFC 9113 §3.2, RFC 7301 §6).
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
