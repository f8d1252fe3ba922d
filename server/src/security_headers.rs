//! What browsers are told to be careful about.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::config::{Said, SecurityHeaders, StrictTransportSecurity};
use crate::facts::is_over_tls;

/// Says these headers with each response that does not say them itself.
#[derive(Clone, Debug)]
pub struct SecurityHeadersLayer(Arc<Words>);

#[derive(Debug)]
struct Words {
    always: Vec<(HeaderName, HeaderValue)>,
    /// With a response over TLS alone: RFC 6797 §7.2.
    over_tls: Option<HeaderValue>,
}

impl SecurityHeadersLayer {
    /// A layer that says what the section has.
    #[must_use]
    pub fn new(section: &SecurityHeaders) -> Self {
        let mut always = Vec::new();
        if section.content_type_options {
            always.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        }
        for (name, Said(value)) in [
            (X_FRAME_OPTIONS, &section.frame_options),
            (REFERRER_POLICY, &section.referrer_policy),
            (CONTENT_SECURITY_POLICY, &section.content_security_policy),
            (PERMISSIONS_POLICY, &section.permissions_policy),
            (CROSS_ORIGIN_OPENER_POLICY, &section.cross_origin_opener_policy),
            (CROSS_ORIGIN_EMBEDDER_POLICY, &section.cross_origin_embedder_policy),
            (CROSS_ORIGIN_RESOURCE_POLICY, &section.cross_origin_resource_policy),
        ] {
            always.extend(value.clone().map(|value| (name, value)));
        }
        let mut over_tls = None;
        if let Some(policy) = &section.strict_transport_security.0 {
            let value = strict_transport_security(policy);
            if policy.always {
                always.extend(value.map(|value| (STRICT_TRANSPORT_SECURITY, value)));
            } else {
                over_tls = value;
            }
        }
        Self(Arc::new(Words { always, over_tls }))
    }
}

fn strict_transport_security(policy: &StrictTransportSecurity) -> Option<HeaderValue> {
    let mut value = format!("max-age={}", policy.max_age.as_secs());
    if policy.include_subdomains {
        value += "; includeSubDomains";
    }
    if policy.preload {
        value += "; preload";
    }
    HeaderValue::try_from(value).ok()
}

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = WithSecurityHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithSecurityHeaders { inner, words: self.0.clone() }
    }
}

/// See [`SecurityHeadersLayer`].
#[derive(Clone, Debug)]
pub struct WithSecurityHeaders<S> {
    inner: S,
    words: Arc<Words>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for WithSecurityHeaders<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let over_tls = is_over_tls(&request);
        ResponseFuture { inner: self.inner.call(request), words: self.words.clone(), over_tls }
    }
}

pin_project! {
    /// The response future of [`WithSecurityHeaders`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        words: Arc<Words>,
        over_tls: bool,
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let headers = response.headers_mut();
        for (name, value) in &this.words.always {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(value) = this.words.over_tls.as_ref().filter(|_| *this.over_tls) {
            headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| value.clone());
        }
        Poll::Ready(Ok(response))
    }
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_EMBEDDER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-embedder-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
