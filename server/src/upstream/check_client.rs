use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt;
use portcullis_held_body::HeldBody;
use portcullis_host_strip::HostPolicy;
use portcullis_sigv4_sign::SigV4SignLayer;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{Service, ServiceBuilder};

use crate::body::{self, Body, Side, over_plain};
use crate::config::{Pool, UpstreamTimeouts};

use super::{Connect, Error, Phase, Target, TargetLayer, Upstream};

/// Asks a replica for its health as requests go there, host and signature included, but past its circuit.
///
/// The path is the server's own: it does not stand below the path of the replica's URL. A `Host` that the request has
/// stays.
pub fn check_client(
    connections: CheckConnections,
    target: &Target,
    host: HostPolicy,
    signer: Option<SigV4SignLayer>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        .layer(MapResponseLayer::new(|response: Response<_>| response.map(Body::new)))
        .layer(TargetLayer::new(Arc::new(target.bare())))
        .layer(MapRequestLayer::new(move |request| hosted(request, &host)))
        .option_layer(signer.map(over_plain))
        .service(connections)
}

fn hosted(mut request: Request<Body>, host: &HostPolicy) -> Request<Body> {
    if !request.headers().contains_key(HOST) {
        // It fails only without an authority, which the target has.
        let _ = host.apply(&mut request);
    }
    request
}

/// A connection for each check, which is not kept: neither do checks keep those of requests alive, nor does a connection
/// that still works hide that no other can be had. It is not counted.
#[derive(Clone, Debug)]
pub struct CheckConnections {
    connect: Arc<Connect>,
    timeouts: UpstreamTimeouts,
    http1: Upstream,
}

impl CheckConnections {
    /// Each as `connect` opens them.
    #[must_use]
    pub fn new(connect: Arc<Connect>, timeouts: UpstreamTimeouts) -> Self {
        let pool = Pool { max_idle: 0, ..Pool::default() };
        let http1 = Upstream::new(connect.clone(), pool, timeouts);
        Self { connect, timeouts, http1 }
    }

    /// Whether a connection can be had.
    ///
    /// # Errors
    ///
    /// As [`Connect::tcp`].
    pub async fn dial(self) -> Result<(), Error> {
        self.connect.tcp(&self.timeouts).await.map(drop)
    }

    async fn over_http2(self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let failed = |error| Error::failed(Phase::Headers, true, error);
        let (mut sender, connection) = self.connect.http2(&self.timeouts).await?;
        to_http2(&mut request);
        sender.ready().await.map_err(failed)?;
        let response = sender.send_request(request).await.map_err(failed)?;
        let broken = |error| body::Error::new(Side::Upstream, error);
        Ok(response.map(|body| Body::new(HeldBody::new(body.map_err(broken), connection))))
    }
}

impl Service<Request<Body>> for CheckConnections {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.version() {
            Version::HTTP_2 => Box::pin(self.clone().over_http2(request)),
            _ => self.http1.call(request),
        }
    }
}

/// The host goes into the authority (RFC 9113 §8.3.1).
fn to_http2(request: &mut Request<Body>) {
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| host.as_bytes().try_into().ok());
    let mut parts = request.uri().clone().into_parts();
    parts.authority = authority.or(parts.authority);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}
