use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use portcullis_host_strip::HostPolicy;
use rustls::pki_types::ServerName;
use tower::{Layer, Service};

use crate::config::Url;

/// A replica as it is addressed: where to connect, what to call it in `Host`, what its certificate
/// must say. Three things, since they may differ.
#[derive(Clone, Debug)]
pub struct Target {
    name: Arc<str>,
    scheme: Scheme,
    connect: (String, u16),
    authority: Authority,
    server_name: Option<ServerName<'static>>,
    base: String,
}

impl Target {
    /// The target that a replica's URL names.
    ///
    /// # Errors
    ///
    /// When TLS is asked for and the host is neither a DNS name nor an address.
    pub fn new(name: &str, url: &Url) -> Result<Self, String> {
        let uri = url.uri();
        let (Some(authority), Some(scheme)) = (uri.authority(), uri.scheme()) else {
            return Err("the URL needs a scheme and a host".to_owned());
        };
        let tls = *scheme == Scheme::HTTPS;
        // An IPv6 address stands in brackets in a URL, and without them everywhere else.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name = tls
            .then(|| ServerName::try_from(host.clone()))
            .transpose()
            .map_err(|_| format!("`{host}` is no name that a certificate can carry"))?;
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            name: name.into(),
            scheme: scheme.clone(),
            connect: (host, port),
            authority: authority.clone(),
            server_name,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The same, but at this address, whatever the name in its URL stands for.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Self {
        Self { connect: (address.to_string(), self.connect.1), ..self }
    }

    /// The same server, whose paths begin at its root.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { base: String::new(), ..self.clone() }
    }

    /// The same target, whose certificate must carry this name instead. Plain HTTP has no certificate.
    #[must_use]
    pub fn certified_as(mut self, name: &ServerName<'static>) -> Self {
        if let Some(known) = &mut self.server_name {
            known.clone_from(name);
        }
        self
    }

    /// The replica's name in logs and metrics.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn address(&self) -> (&str, u16) {
        (&self.connect.0, self.connect.1)
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Its authority, as `Host` has it.
    #[must_use]
    pub fn host(&self) -> Option<HeaderValue> {
        let mut request = Request::new(());
        *request.uri_mut() = self.join(&Uri::default());
        HostPolicy::FromUri.apply(&mut request).ok()?;
        request.headers_mut().remove(HOST)
    }

    /// The name that the certificate must carry; none for plain HTTP.
    #[must_use]
    pub const fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    /// The request target of `uri` at this replica: its own scheme and authority, its base path, and
    /// then the path and the query as they are.
    fn join(&self, uri: &Uri) -> Uri {
        let target = match uri.path_and_query() {
            Some(target) if self.base.is_empty() => target.clone(),
            Some(target) => self.below_base(target),
            None => PathAndQuery::from_static("/"),
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        // All three are there and valid, so this cannot fail; the URI as it was is the safe answer.
        Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
    }

    fn below_base(&self, target: &PathAndQuery) -> PathAndQuery {
        // `/` alone is the base itself: a bucket, not the object `` in it.
        let path = if target.path() == "/" { "" } else { target.path() };
        let joined = match target.query() {
            Some(query) => format!("{}{path}?{query}", self.base),
            None => format!("{}{path}", self.base),
        };
        joined.try_into().unwrap_or_else(|_| target.clone())
    }
}

/// Addresses requests to a [`Target`].
#[derive(Clone, Debug)]
pub struct TargetLayer(Arc<Target>);

impl TargetLayer {
    /// A layer for one replica.
    #[must_use]
    pub const fn new(target: Arc<Target>) -> Self {
        Self(target)
    }
}

impl<S> Layer<S> for TargetLayer {
    type Service = Targeted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Targeted { inner, target: self.0.clone() }
    }
}

/// See [`TargetLayer`].
#[derive(Clone, Debug)]
pub struct Targeted<S> {
    inner: S,
    target: Arc<Target>,
}

impl<S, B> Service<Request<B>> for Targeted<S>
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
        *request.uri_mut() = self.target.join(request.uri());
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(base: &str, uri: &str) -> String {
        let url = Url::try_from(base.to_owned()).unwrap();
        Target::new("a", &url).unwrap().join(&uri.parse().unwrap()).to_string()
    }

    #[test]
    fn its_host_is_the_authority_with_the_port_as_it_is_written() {
        for (url, host) in [
            ("http://a.example/base", "a.example"),
            ("http://a.example:80", "a.example:80"),
            ("https://[::1]:8443/", "[::1]:8443"),
        ] {
            let url = Url::try_from(url.to_owned()).unwrap();
            assert_eq!(Target::new("a", &url).unwrap().host().unwrap(), host);
        }
    }

    #[test]
    fn the_path_stands_below_the_base_as_it_is() {
        assert_eq!(
            join("http://a:9/b", "/c%20d//e/./f?g=%2F&g"),
            "http://a:9/b/c%20d//e/./f?g=%2F&g"
        );
        assert_eq!(join("http://a:9/b/", "http://evil/c"), "http://a:9/b/c");
        assert_eq!(join("http://a:9", "//c"), "http://a:9//c");
    }

    #[test]
    fn the_root_is_the_base_itself() {
        assert_eq!(join("http://a/b", "/?list-type=2"), "http://a/b?list-type=2");
        assert_eq!(join("http://a", "/"), "http://a/");
    }

    #[test]
    fn the_port_follows_the_scheme_and_brackets_stay_in_the_url() {
        let target = |url: &str| Target::new("a", &Url::try_from(url.to_owned()).unwrap()).unwrap();

        assert_eq!(target("https://a.example").address(), ("a.example", 443));
        assert_eq!(target("http://a.example").address(), ("a.example", 80));
        assert_eq!(target("http://[::1]:8080").address(), ("::1", 8080));
        assert!(target("https://a.example").server_name().is_some());
        assert!(target("http://a.example").server_name().is_none());
    }
}
