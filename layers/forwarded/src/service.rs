use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::request::Parts;
use tower_service::Service;

use crate::resolve::{Resolved, Way, resolve};
use crate::strip::strip;
use crate::{Client, ForwardedPolicy, PeerOf};

/// Finds out who the client is, and says so in the extensions; see
/// [`ForwardedLayer`](crate::ForwardedLayer).
#[derive(Clone, Debug)]
pub struct Forwarded<S, P> {
    inner: S,
    policy: Arc<ForwardedPolicy>,
    peer: P,
}

impl<S, P> Forwarded<S, P> {
    pub(crate) const fn new(inner: S, policy: Arc<ForwardedPolicy>, peer: P) -> Self {
        Self { inner, policy, peer }
    }
}

impl<S, P, B> Service<Request<B>> for Forwarded<S, P>
where
    S: Service<Request<B>>,
    P: PeerOf,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        introduce(&self.policy, &self.peer, &mut parts);
        self.inner.call(Request::from_parts(parts, body))
    }
}

/// Makes of a request what the inner service is to see.
fn introduce(policy: &ForwardedPolicy, peer: &impl PeerOf, parts: &mut Parts) {
    let resolved = peer.peer(parts).map(|peer| resolve(policy, &peer, parts));
    strip(policy, &mut parts.headers);
    // Nobody but this layer says who the client is. A way is asked for only where there is no client.
    let extensions = &mut parts.extensions;
    match resolved {
        Some(Resolved::Client(client)) => {
            extensions.insert(client);
        }
        Some(Resolved::Nobody(way)) => {
            extensions.remove::<Client>();
            extensions.insert(way);
        }
        None => {
            extensions.remove::<Client>();
            extensions.remove::<Way>();
        }
    }
}
