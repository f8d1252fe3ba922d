use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::{Request, Response, Version};
use portcullis_host_strip::HostPolicy;
use portcullis_sigv4_sign::SigV4SignLayer;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{Service, ServiceBuilder};

use crate::body::{Body, over_plain};
use crate::config::{Pool, UpstreamTimeouts};

use super::{Connect, Error, Target, TargetLayer, Upstream};

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
    usual: Arc<Connect>,
    http2: Arc<Connect>,
    timeouts: UpstreamTimeouts,
}

impl CheckConnections {
    /// Each as `usual` opens them, or `http2` for checks that need it.
    #[must_use]
    pub const fn new(usual: Arc<Connect>, http2: Arc<Connect>, timeouts: UpstreamTimeouts) -> Self {
        Self { usual, http2, timeouts }
    }

    /// Whether a connection can be had.
    ///
    /// # Errors
    ///
    /// As [`Connect::tcp`].
    pub async fn dial(self) -> Result<(), Error> {
        self.usual.tcp(&self.timeouts).await.map(drop)
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
        let connect = match request.version() {
            Version::HTTP_2 => &self.http2,
            _ => &self.usual,
        };
        // Its pool ends with the check, and the connection with that.
        Upstream::new(connect.clone(), Pool::default(), self.timeouts, u64::MAX).call(request)
    }
}
