use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;
use http::{Method, Request, Uri, Version};
use portcullis_forwarded::Client;
use portcullis_refusal::Dialect;
use portcullis_request_id::RequestId;
use tokio::time::Instant;

use crate::certificate::Certificate;
use crate::splice::{Splice, Upload};
use crate::telemetry::RouteMeters;

/// What is known of one request: what it asked for, and what is found out as it goes down the stack.
///
/// It is made at the edge and shared by all that handle the request: what a layer below finds out,
/// the access log above can tell, even of a request that is cancelled half way.
#[derive(Clone, Debug)]
pub struct Facts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    asked: Asked,
    received: AtomicU64,
    known: Mutex<Known>,
}

/// What a request was when it came.
#[derive(Debug)]
#[non_exhaustive]
pub struct Asked {
    /// When that was.
    pub start: Instant,
    /// Who is at the other end of the connection.
    pub peer: Arc<Peer>,
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its version.
    pub version: Version,
    /// The host that its header names.
    pub host: Option<HeaderValue>,
}

/// What is found out of a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Known {
    /// Its id, once it has one.
    pub id: Option<RequestId>,
    /// Who the client is, once that is found out; nobody knows of one over a unix socket, unless a proxy says so.
    pub client: Option<Client>,
    /// Whether nobody reads the body of the response on its way, or writes another in its place.
    pub(crate) splices: bool,
    /// Whether nobody reads its own body on its way.
    pub(crate) uploads: bool,
    /// The language for refusals.
    pub voice: Voice,
    /// The route, once there is one.
    pub route: Option<Arc<RouteMeters>>,
    /// The replica that was tried last.
    pub replica: Option<Arc<str>>,
    /// How many replicas were tried.
    pub attempts: u32,
    /// Why the request was refused or failed.
    pub reason: Option<&'static str>,
    /// What went wrong, for the operator alone.
    pub error: Option<String>,
}

/// The language in which a client is refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Voice {
    /// `application/problem+json`, RFC 9457.
    #[default]
    Plain,
    /// The XML of S3's errors.
    S3,
    /// A trailers-only gRPC response.
    Grpc,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Peer {
    /// Where the connection comes from; a unix socket does not tell.
    pub address: Option<SocketAddr>,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// What the client has shown of itself, and somebody vouched for.
    pub certificate: Option<Arc<Certificate>>,
    /// How bodies get there without being read, if they can.
    pub(crate) splice: Option<Splice>,
    /// How bodies come from there without being read, if they can.
    pub(crate) upload: Option<Upload>,
}

/// Says who is at the other end of a request's connection.
pub type PeerOf = fn(&Parts) -> Option<portcullis_forwarded::Peer>;

/// See [`PeerOf`].
#[must_use]
pub fn peer_of(request: &Parts) -> Option<portcullis_forwarded::Peer> {
    let facts: &Facts = request.extensions.get()?;
    let peer = &facts.asked().peer;
    let known = peer.address.map_or_else(portcullis_forwarded::Peer::unix, Into::into);
    Some(known.scheme(if peer.is_tls { Scheme::HTTPS } else { Scheme::HTTP }))
}

/// The address of the client: what all go by who count, limit or let in by address.
#[must_use]
pub fn client_address(request: &Parts) -> Option<IpAddr> {
    request.extensions.get().map(Client::address)
}

/// Whether the client came over TLS: to the gateway, or to the first proxy that is trusted.
pub(crate) fn is_over_tls<B>(request: &Request<B>) -> bool {
    let known = request.extensions();
    match known.get::<Client>() {
        Some(client) => *client.scheme() == Scheme::HTTPS,
        None => known.get().is_some_and(|facts: &Facts| facts.asked().peer.is_tls),
    }
}

/// The certificate that the client has shown and that somebody vouched for.
#[must_use]
pub fn client_certificate(request: &Parts) -> Option<Arc<Certificate>> {
    let facts: &Facts = request.extensions.get()?;
    facts.asked().peer.certificate.clone()
}

impl Facts {
    /// The facts of a request that has come from `peer`, which are in its extensions from now on.
    pub fn begin<B>(request: &mut Request<B>, peer: Arc<Peer>) -> Self {
        let voice = match Dialect::of(request.headers()) {
            Dialect::Grpc => Voice::Grpc,
            _ => Voice::Plain,
        };
        // What goes into a frame of HTTP/2 has to be read for that.
        let splices = request.version() <= Version::HTTP_11;
        let asked = Asked {
            start: Instant::now(),
            peer,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: request.headers().get(HOST).cloned(),
        };
        let known = Known {
            id: None,
            client: None,
            splices,
            uploads: splices,
            voice,
            route: None,
            replica: None,
            attempts: 0,
            reason: None,
            error: None,
        };
        let (received, known) = (AtomicU64::new(0), Mutex::new(known));
        let facts = Self(Arc::new(Shared { asked, received, known }));
        request.extensions_mut().insert(facts.clone());
        facts
    }

    /// The facts of a request; one that has come over no connection has them from now on.
    pub fn of<B>(request: &mut Request<B>) -> Self {
        match Self::get(request) {
            Some(facts) => facts.clone(),
            None => Self::begin(request, Arc::default()),
        }
    }

    /// The facts of a request that has come over a connection, or passed the edge.
    #[must_use]
    pub fn get<B>(request: &Request<B>) -> Option<&Self> {
        request.extensions().get()
    }

    /// The way by which the body of the response may get to the client without being read.
    pub(crate) fn splice(&self) -> Option<Splice> {
        let known = self.known();
        if known.splices { self.asked().peer.splice.clone() } else { None }
    }

    /// The way by which the request's own body may come from the client without being read.
    pub(crate) fn upload(&self) -> Option<&Upload> {
        let uploads = self.known().uploads;
        self.asked().peer.upload.as_ref().filter(|_| uploads)
    }

    /// What the request was when it came.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.0.asked
    }

    /// The bytes of the request's body that have come.
    pub(crate) fn received(&self) -> &AtomicU64 {
        &self.0.received
    }

    /// Reads or writes. One request has one task at a time, so nobody waits for another here.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic leaves facts that are old at worst.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
