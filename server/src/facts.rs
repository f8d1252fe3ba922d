use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::Request;
use http::request::Parts;
use http::uri::Scheme;
use portcullis_forwarded::Client;
use portcullis_refusal::Dialect;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::certificate::Certificate;
use crate::telemetry::RouteMeters;

/// What is known of one request, filled in as it goes down the stack.
///
/// It is made at the edge and shared by all that handle the request: what a layer below finds out,
/// the access log above can tell, even of a request that is cancelled half way.
#[derive(Clone, Debug)]
pub struct Facts(Arc<Mutex<Known>>);

/// The contents of [`Facts`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Known {
    /// When the request reached the stack.
    pub start: Instant,
    /// Who the client is, once that is found out; nobody knows of one over a unix socket, unless a proxy says so.
    pub client: Option<Client>,
    /// What the client showed of itself, if it was asked and could.
    pub certificate: Option<Arc<Certificate>>,
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

/// Where a connection comes from, in the extensions of its requests.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a connection says of itself")]
pub struct Peer {
    /// The address; one over a unix socket has none.
    pub address: Option<SocketAddr>,
    /// Whether it speaks TLS.
    pub is_tls: bool,
}

/// Says who is at the other end of a request's connection.
pub type PeerOf = fn(&Parts) -> Option<portcullis_forwarded::Peer>;

/// See [`PeerOf`].
#[must_use]
pub fn peer_of(request: &Parts) -> Option<portcullis_forwarded::Peer> {
    let peer: &Peer = request.extensions.get()?;
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
        None => known.get().is_some_and(|peer: &Peer| peer.is_tls),
    }
}

/// The certificate that the client of a connection has shown and that somebody vouched for, in the extensions of its
/// requests.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a certificate and no more")]
pub struct ClientCertificate(pub Arc<Certificate>);

impl Facts {
    /// The facts of a request, which are made if there are none yet.
    pub fn of<B>(request: &mut Request<B>) -> Self {
        if let Some(facts) = Self::get(request) {
            return facts;
        }
        let voice = match Dialect::of(request.headers()) {
            Dialect::Grpc => Voice::Grpc,
            _ => Voice::Plain,
        };
        let certificate = request.extensions().get();
        let certificate = certificate.map(|ClientCertificate(shown)| shown.clone());
        let facts = Self(Arc::new(Mutex::new(Known {
            start: Instant::now(),
            client: None,
            certificate,
            voice,
            route: None,
            replica: None,
            attempts: 0,
            reason: None,
            error: None,
        })));
        request.extensions_mut().insert(facts.clone());
        facts
    }

    /// Takes the facts of a request that has passed the edge.
    #[must_use]
    pub fn get<B>(request: &Request<B>) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Reads or writes. One request has one task at a time, so nobody waits for another here.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic leaves facts that are old at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives every request its [`Facts`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FactsLayer;

impl<S> Layer<S> for FactsLayer {
    type Service = WithFacts<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithFacts { inner }
    }
}

/// See [`FactsLayer`].
#[derive(Clone, Debug)]
pub struct WithFacts<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for WithFacts<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        Facts::of(&mut request);
        self.inner.call(request)
    }
}
