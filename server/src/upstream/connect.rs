use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::Body;
use crate::config::UpstreamTimeouts;
use crate::telemetry::ReplicaMeters;

use super::pool::{Lease, Pool};
use super::{Error, Phase, Target};

/// How to open a connection to a replica.
#[derive(Clone)]
pub struct Connect {
    target: Arc<Target>,
    tls: TlsConnector,
    meters: ReplicaMeters,
}

impl Connect {
    /// Connects to `target`, with `tls` if it wants that, and counts in `meters`.
    #[must_use]
    pub fn new(target: Arc<Target>, tls: Arc<ClientConfig>, meters: ReplicaMeters) -> Self {
        Self { target, tls: tls.into(), meters }
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

    pub(super) async fn open(
        &self,
        timeouts: &UpstreamTimeouts,
        pool: &Arc<Pool>,
    ) -> Result<Lease, Error> {
        let stream = self.tcp(timeouts).await?;
        self.meters.opened();
        match self.target.server_name() {
            None => handshake(TokioIo::new(stream), pool).await,
            Some(name) => {
                let stream = secured(&self.tls, name, stream, timeouts).await?;
                handshake(TokioIo::new(stream), pool).await
            }
        }
    }

    /// Opens a connection that speaks HTTP/2 from its first byte on, and closes when the set is dropped.
    pub(super) async fn http2(
        &self,
        timeouts: &UpstreamTimeouts,
    ) -> Result<(http2::SendRequest<Body>, JoinSet<()>), Error> {
        let stream = self.tcp(timeouts).await?;
        match self.target.server_name() {
            None => handshake_http2(TokioIo::new(stream)).await,
            Some(name) => {
                let mut tls = ClientConfig::clone(self.tls.config());
                tls.alpn_protocols = vec![b"h2".to_vec()];
                let stream = secured(&Arc::new(tls).into(), name, stream, timeouts).await?;
                handshake_http2(TokioIo::new(stream)).await
            }
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

async fn secured(
    tls: &TlsConnector,
    name: &ServerName<'static>,
    stream: TcpStream,
    timeouts: &UpstreamTimeouts,
) -> Result<TlsStream<TcpStream>, Error> {
    let tls = timeout(timeouts.tls_handshake, tls.connect(name.clone(), stream)).await;
    tls.map_err(|_| Error::timed_out(Phase::Handshake, false))?
        .map_err(|error| failed(Phase::Handshake, error))
}

async fn handshake_http2<I>(io: I) -> Result<(http2::SendRequest<Body>, JoinSet<()>), Error>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
        .await
        .map_err(|error| Error::failed(Phase::Connect, false, error))?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _ = connection.await;
    });
    Ok((sender, task))
}

async fn handshake<I>(io: I, pool: &Arc<Pool>) -> Result<Lease, Error>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(io).await.map_err(|error| Error::failed(Phase::Connect, false, error))?;
    let task = tokio::spawn(async move {
        // Whoever waits for the response hears of the error, too.
        let _ = connection.await;
    });
    Ok(Lease::new(sender, task.abort_handle(), pool))
}

fn failed(phase: Phase, error: io::Error) -> Error {
    Error::failed(phase, false, error)
}
