use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::next_hop::{add_via, is_loop, strip, write};
use crate::resolve::resolve;
use crate::{Client, ForwardedPolicy, NotLetIn, PeerOf, ResponseFuture};

/// Finds out who the client is, and says so in the extensions and to the next hop; see
/// [`ForwardedLayer`](crate::ForwardedLayer).
///
/// The inner service is cloned when a request is refused before it: what it had reserved by being ready (a permit, a place in a
/// buffer) is let go at once instead of being kept for the next request.
#[derive(Clone, Debug)]
pub struct Forwarded<S, P, R = DefaultBody> {
    inner: S,
    policy: Arc<ForwardedPolicy>,
    peer: P,
    empty: R,
}

impl<S, P, R> Forwarded<S, P, R> {
    pub(crate) const fn new(inner: S, policy: Arc<ForwardedPolicy>, peer: P, empty: R) -> Self {
        Self { inner, policy, peer, empty }
    }
}

impl<S, P, R, ReqBody, ResBody> Service<Request<ReqBody>> for Forwarded<S, P, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    P: PeerOf,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        if let Err(refused) = admit(&self.policy, &self.peer, &mut parts) {
            // The readied service is dropped with its reservation; the clone has none.
            self.inner = self.inner.clone();
            let dialect = Dialect::of(&parts.headers);
            return ResponseFuture::refused(refused, dialect, self.empty.clone());
        }
        ResponseFuture::called(self.inner.call(Request::from_parts(parts, body)))
    }
}

/// Makes of a request what the inner service is to see.
fn admit(policy: &ForwardedPolicy, peer: &impl PeerOf, parts: &mut Parts) -> Result<(), NotLetIn> {
    if let Some(pseudonym) = &policy.via {
        if is_loop(pseudonym, &parts.headers) {
            return Err(NotLetIn::Loop);
        }
        add_via(pseudonym, parts.version, &mut parts.headers);
    }
    let peer = peer.peer(parts);
    let resolved = peer.map(|peer| resolve(policy, &peer, parts));
    strip(policy, &mut parts.headers);
    // Nobody but this layer says who the client is.
    parts.extensions.remove::<Client>();
    let address = resolved.as_ref().map(|resolved| resolved.client.address());
    if address.is_some_and(|address| policy.deny.contains(address)) {
        return Err(NotLetIn::Address);
    }
    if let Some(allow) = &policy.allow {
        if !address.is_some_and(|address| allow.contains(address)) {
            return Err(NotLetIn::Address);
        }
    }
    if let Some(resolved) = resolved {
        write(policy, &resolved, &mut parts.headers);
        parts.extensions.insert(resolved.client);
    }
    Ok(())
}
