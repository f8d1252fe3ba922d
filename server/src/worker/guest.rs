use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::Certificate;
use crate::connection::{Connections, Ending};
use crate::facts::Peer;
use crate::listener::{Admission, ListenerTls, Origin, Progress, Stream, Terms, read_header};
use crate::splice::SplicedIo;

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) stream: Stream,
    /// Where it comes from, as far as is known.
    pub(super) peer: Option<SocketAddr>,
    pub(super) admission: Admission,
    pub(super) terms: Arc<Terms>,
}

impl Guest {
    /// Learns from a proxy whom it speaks for, if it is one.
    ///
    /// # Errors
    ///
    /// When it does not say so in time, or its client has as many connections as it may.
    pub(super) async fn introduce(&mut self) -> Result<(), Ending> {
        self.stream.set_nodelay().map_err(|_| Ending::Broken)?;
        if !self.terms.wants_header(self.peer) {
            return Ok(());
        }
        let time = self.terms.timeouts().proxy_header;
        let header = timeout(time, header(&mut self.stream)).await;
        let origin = header.map_err(|_| Ending::ProxyHeaderTimeout)??;
        if let Origin::Client(address) = origin {
            self.peer = Some(address);
        }
        match self.peer {
            Some(peer) => self.terms.admit_client(&mut self.admission, peer),
            None => Ok(()),
        }
    }

    /// Serves it to its end.
    ///
    /// # Errors
    ///
    /// How it ended, if not well.
    pub(super) async fn serve(self, connections: Arc<Connections>) -> Result<(), Ending> {
        let Self { stream, peer: address, admission: _counts, terms } = self;
        let Some(tls) = terms.tls() else {
            let (stream, ways) = SplicedIo::new(stream);
            let (splice, upload) = ways.unzip();
            let peer = Peer { address, splice, upload, ..Peer::default() };
            return connections.serve(stream, peer).await;
        };
        // In boxes, or connections without TLS would be as large.
        let time = terms.timeouts().tls_handshake;
        let handshake = Box::pin(timeout(time, handshake(stream, tls, &terms))).await;
        let stream = handshake.map_err(|_| Ending::HandshakeTimeout)??;
        // The first is the client's own.
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.and_then(|own| Certificate::read(own)).map(Arc::new);
        let peer = Peer { address, is_tls: true, certificate, ..Peer::default() };
        Box::pin(connections.serve(stream, peer)).await
    }
}

/// Shakes hands, if there is room for that. Who says nothing takes up none.
async fn handshake(
    stream: Stream,
    tls: &ListenerTls,
    terms: &Terms,
) -> Result<TlsStream<Stream>, Ending> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
    let begun = begun.map_err(|_| Ending::Handshake)?;
    let _permit = terms.admit_handshake()?;
    begun.into_stream(tls.config()).await.map_err(|_| Ending::Handshake)
}

/// Reads the header of the PROXY protocol, and no byte more.
async fn header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Origin, Ending> {
    let mut bytes = Vec::new();
    loop {
        match read_header(&bytes).map_err(|_| Ending::ProxyHeader)? {
            Progress::Done(origin) => return Ok(origin),
            Progress::More(missing) => {
                let known = bytes.len();
                bytes.resize(known + missing, 0);
                let rest = bytes.get_mut(known..).unwrap_or_default();
                let read = stream.read_exact(rest).await;
                read.map_err(|error| match error.kind() {
                    // Who leaves in silence was a probe of the connection alone.
                    io::ErrorKind::UnexpectedEof if known == 0 => Ending::Incomplete,
                    _ => Ending::ProxyHeader,
                })?;
            }
        }
    }
}
