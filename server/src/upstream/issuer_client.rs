use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use tower::Service;

use crate::body::Body;
use crate::config::{HttpVersion, Pool, UpstreamTimeouts, Url};
use crate::telemetry::ReplicaMeters;

use super::{Connect, Error, Phase, Target, Upstream};

/// Asks issuers for keys, of tokens or of AWS: one connection for each request, and none is kept, so that it may run on any thread.
///
/// It follows no redirects.
#[derive(Clone)]
pub struct IssuerClient {
    tls: Arc<rustls::ClientConfig>,
    timeouts: UpstreamTimeouts,
}

impl IssuerClient {
    /// Trusts whom `tls` trusts, and waits as long as for an upstream.
    #[must_use]
    pub fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        Self { tls, timeouts: UpstreamTimeouts::default() }
    }

    /// Waits no longer than that.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: UpstreamTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The request as a server takes it, and the one to send it to.
    fn address(&self, request: &mut Request<Body>) -> Result<Upstream, String> {
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("the URL needs a scheme and a host".to_owned());
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        let url = Url::try_from(format!("{scheme}://{authority}"))?;
        let target = Arc::new(Target::new(authority.as_str(), &url)?);
        request.headers_mut().insert(HOST, host);

        let connect =
            Connect::new(target, HttpVersion::Auto, &self.tls, ReplicaMeters::uncounted());
        let pool = Pool { max_idle: 0, ..Pool::default() };
        Ok(Upstream::new(Arc::new(connect), pool, self.timeouts, u64::MAX))
    }
}

impl Service<Request<Body>> for IssuerClient {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.address(&mut request) {
            Ok(mut upstream) => upstream.call(request),
            Err(message) => {
                Box::pin(std::future::ready(Err(Error::failed(Phase::Resolve, false, message))))
            }
        }
    }
}

impl std::fmt::Debug for IssuerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuerClient")
    }
}
