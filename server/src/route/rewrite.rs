use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, Refusal};
use tower::{Layer, Service};

use crate::body::Body;

use super::{Judged, host, refuse_path};

/// What becomes of the path that a client asked for, once it has been let through.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two things that happen to a path")]
pub struct Rewrite {
    /// How many segments are taken off at its start.
    pub strip: usize,
    /// The domain whose subdomains are buckets, in lower case.
    pub virtual_host: Option<String>,
}

impl Rewrite {
    /// The target of a request to `host`; none if it stays as it is.
    fn target(&self, host: &str, uri: &Uri) -> Result<Option<PathAndQuery>, Box<Refusal>> {
        let bucket = self.virtual_host.as_deref().and_then(|domain| subdomain(host, domain));
        if self.strip == 0 && bucket.is_none() {
            return Ok(None);
        }
        let rest = Judged::after(uri.path(), self.strip).map_err(refuse_path)?;
        let mut target = String::with_capacity(host.len() + uri.path().len() + 2);
        if let Some(bucket) = bucket {
            if !is_bucket(bucket) {
                let detail = "the host names no bucket";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_bucket", detail).into());
            }
            target.push('/');
            target.push_str(bucket);
        }
        if !rest.starts_with('/') {
            target.push('/');
        }
        target.push_str(rest);
        if let Some(query) = uri.query() {
            target.push('?');
            target.push_str(query);
        }
        // Parts of a target, put together at its separators, are a target.
        Ok(target.try_into().ok())
    }
}

/// What stands before `domain` in `host`, in whatever case.
fn subdomain<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let (label, rest) = host.split_at_checked(host.len().checked_sub(domain.len())?)?;
    let label = label.strip_suffix('.').filter(|label| !label.is_empty())?;
    rest.eq_ignore_ascii_case(domain).then_some(label)
}

/// What S3 takes for the name of a bucket, and nothing that means something else in a path.
fn is_bucket(name: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (3..=63).contains(&name.len()) && name.bytes().all(known) && !name.contains("..")
}

/// Gives requests the path that the upstream knows: below what authenticates them, since a client
/// signs the path that it sends.
#[derive(Clone, Debug)]
pub struct RewriteLayer(Arc<Rewrite>);

impl RewriteLayer {
    /// A layer that does this.
    #[must_use]
    pub fn new(rewrite: Rewrite) -> Self {
        Self(Arc::new(rewrite))
    }
}

impl<S> Layer<S> for RewriteLayer {
    type Service = Rewritten<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Rewritten { inner, rewrite: self.0.clone() }
    }
}

/// See [`RewriteLayer`].
#[derive(Clone, Debug)]
pub struct Rewritten<S> {
    inner: S,
    rewrite: Arc<Rewrite>,
}

impl<S> Service<Request<Body>> for Rewritten<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let host = host(request.uri(), request.headers().get(HOST));
        match self.rewrite.target(host, request.uri()) {
            Ok(None) => {}
            Ok(Some(target)) => {
                let mut parts = request.uri().clone().into_parts();
                parts.path_and_query = Some(target);
                if let Ok(uri) = Uri::from_parts(parts) {
                    *request.uri_mut() = uri;
                }
            }
            Err(refusal) => {
                let dialect = Dialect::of(request.headers());
                let response = refusal.into_response(dialect, Body::empty());
                return ResponseFuture { inner: None, refused: Some(response) };
            }
        }
        ResponseFuture { inner: Some(self.inner.call(request)), refused: None }
    }
}

pin_project! {
    /// The response future of [`Rewritten`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>, // none when the request was refused
        refused: Option<Response<Body>>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match (this.inner.as_pin_mut(), this.refused.take()) {
            (Some(inner), _) => inner.poll(cx),
            (None, Some(response)) => Poll::Ready(Ok(response)),
            (None, None) => Poll::Pending, // polled after it was done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(strip: usize, domain: Option<&str>, host: &str, uri: &str) -> Option<String> {
        let rewrite = Rewrite { strip, virtual_host: domain.map(str::to_owned) };
        match rewrite.target(host, &uri.parse().unwrap()) {
            Ok(Some(target)) => Some(target.to_string()),
            Ok(None) => Some(uri.to_owned()),
            Err(_) => None,
        }
    }

    #[test]
    fn what_is_stripped_leaves_a_path_and_the_query_as_they_were_written() {
        let stripped = |uri| rewritten(1, None, "a", uri).unwrap();

        assert_eq!(stripped("/api/a%20b//c?d=%2F&e"), "/a%20b//c?d=%2F&e");
        assert_eq!(stripped("/api"), "/");
        assert_eq!(stripped("/api?q"), "/?q");
        assert_eq!(rewritten(1, None, "a", "/api%2Fb"), None);
    }

    #[test]
    fn a_subdomain_is_the_bucket() {
        let path = |host, uri| rewritten(0, Some("s3.example.com"), host, uri);

        assert_eq!(path("photos.s3.example.com", "/a%2Fb?c").unwrap(), "/photos/a%2Fb?c");
        assert_eq!(path("my.photos.S3.Example.com", "/").unwrap(), "/my.photos/");
        assert_eq!(path("s3.example.com", "/photos/a").unwrap(), "/photos/a");
        assert_eq!(path("photoss3.example.com", "/photos/a").unwrap(), "/photos/a");
        assert_eq!(path("another.example.com", "/photos/a").unwrap(), "/photos/a");
    }

    #[test]
    fn no_name_of_a_host_leads_out_of_its_bucket() {
        for host in
            ["a..b.s3.example.com", "..s3.example.com", "ab.s3.example.com", "A_B_C.s3.example.com"]
        {
            assert_eq!(rewritten(0, Some("s3.example.com"), host, "/key"), None, "{host}");
        }
    }
}
