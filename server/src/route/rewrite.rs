use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, Refusal};
use regex::{Regex, RegexBuilder};
use tower::{Layer, Service};

use crate::body::Body;

use super::{BadPath, Judged, host, refuse_path};

/// What becomes of the path that a client asked for, once it has been let through.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the things that happen to a path, in this order")]
pub struct Rewrite {
    /// How many segments are taken off at its start.
    pub strip: usize,
    /// What stands at its start instead, without a slash at its end.
    pub prefix: String,
    /// What is replaced in it.
    pub substitute: Option<Substitute>,
    /// The domain whose subdomains are buckets, in lower case.
    pub virtual_host: Option<String>,
}

impl Rewrite {
    /// Whether every path stays as it is.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.stays() && self.virtual_host.is_none()
    }

    /// Whether a path stays as it is whose host is no bucket.
    const fn stays(&self) -> bool {
        self.strip == 0 && self.prefix.is_empty() && self.substitute.is_none()
    }

    /// The target of a request to `host`; none if it stays as it is.
    fn target(&self, host: &str, uri: &Uri) -> Result<Option<PathAndQuery>, Box<Refusal>> {
        let bucket = self.virtual_host.as_deref().and_then(|domain| subdomain(host, domain));
        if self.stays() && bucket.is_none() {
            return Ok(None);
        }
        let rest = Judged::after(uri.path(), self.strip).map_err(refuse_path)?;
        let rest = match &self.substitute {
            Some(substitute) => substitute.apply(rest)?,
            None => Cow::Borrowed(rest),
        };
        let mut target = String::with_capacity(host.len() + uri.path().len() + 2);
        if let Some(bucket) = bucket {
            if !is_bucket(bucket) {
                let detail = "the host names no bucket";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_bucket", detail).into());
            }
            target.push('/');
            target.push_str(bucket);
        }
        target.push_str(&self.prefix);
        let ends = rest.is_empty() && !self.prefix.is_empty();
        if !rest.starts_with('/') && !ends {
            target.push('/');
        }
        target.push_str(&rest);
        if let Some(query) = uri.query() {
            target.push('?');
            target.push_str(query);
        }
        match target.try_into() {
            Ok(target) => Ok(Some(target)),
            Err(_) => Err(refuse_path(NO_PATH)),
        }
    }
}

/// Replaces what an expression finds first in a path, in time that is linear in its length.
#[derive(Clone, Debug)]
pub struct Substitute {
    regex: Regex,
    replacement: String,
}

impl Substitute {
    /// Puts `replacement` in place of what `regex` finds; its `$1` and `${name}` are the groups of the expression.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression, or too large of it, or the group that it does not have.
    pub fn new(regex: &str, replacement: &str) -> Result<Self, BadSubstitute> {
        let regex = RegexBuilder::new(regex).size_limit(LARGEST).dfa_size_limit(LARGEST).build();
        let regex = regex.map_err(|error| BadSubstitute::Regex(error.to_string()))?;
        let unknown = groups(replacement).find(|name| !has_group(&regex, name));
        match unknown {
            Some(name) => Err(BadSubstitute::Replacement(name.to_owned())),
            None => Ok(Self { regex, replacement: replacement.to_owned() }),
        }
    }

    /// The path with what was found replaced.
    fn apply<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Box<Refusal>> {
        let replaced = self.regex.replace(path, &self.replacement);
        if let Cow::Owned(path) = &replaced {
            let is_path = path.starts_with('/') && !path.contains(['?', '#']);
            if !is_path || path.len() > LONGEST {
                return Err(refuse_path(NO_PATH));
            }
            Judged::new(path).map_err(refuse_path)?;
        }
        Ok(replaced)
    }
}

/// Why a path cannot be rewritten like this.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an expression and a replacement")]
pub enum BadSubstitute {
    /// What is wrong with the expression.
    Regex(String),
    /// The group that the expression does not have.
    Replacement(String),
}

const NO_PATH: BadPath = BadPath("the path would be rewritten to what is none");

/// Bytes of a compiled expression.
const LARGEST: usize = 1 << 20;

/// Bytes of a path that has been rewritten: a replacement may say a group many times.
const LONGEST: usize = 64 << 10;

/// The names of the groups that a replacement stands for, as far as they go: `$1a` is the group `1a`.
fn groups(replacement: &str) -> impl Iterator<Item = &str> {
    let mut rest = replacement;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('$')?;
            if let Some(after) = after.strip_prefix('$') {
                rest = after;
                continue;
            }
            let name = match after.strip_prefix('{') {
                Some(braced) => braced.split('}').next().unwrap_or(braced),
                None => {
                    let end = after.find(|char: char| !char.is_ascii_alphanumeric() && char != '_');
                    after.split_at(end.unwrap_or(after.len())).0
                }
            };
            rest = after;
            return Some(name);
        }
    })
}

fn has_group(regex: &Regex, name: &str) -> bool {
    match name.parse::<usize>() {
        Ok(index) => index < regex.captures_len(),
        Err(_) => regex.capture_names().flatten().any(|known| known == name),
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
    use proptest::prelude::*;

    use super::*;

    fn rewritten(strip: usize, domain: Option<&str>, host: &str, uri: &str) -> Option<String> {
        let virtual_host = domain.map(str::to_owned);
        target(&Rewrite { strip, virtual_host, ..Rewrite::default() }, host, uri)
    }

    fn target(rewrite: &Rewrite, host: &str, uri: &str) -> Option<String> {
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

    fn substituted(regex: &str, replacement: &str, uri: &str) -> Option<String> {
        let substitute = Some(Substitute::new(regex, replacement).unwrap());
        target(&Rewrite { substitute, ..Rewrite::default() }, "a", uri)
    }

    #[test]
    fn a_prefix_stands_in_place_of_the_route() {
        let rewrite = Rewrite { strip: 1, prefix: "/new/v2".to_owned(), ..Rewrite::default() };
        let path = |uri| target(&rewrite, "a", uri).unwrap();

        assert_eq!(path("/old/a%20b//c?d=%2F"), "/new/v2/a%20b//c?d=%2F");
        assert_eq!(path("/old/"), "/new/v2/");
        assert_eq!(path("/old?q"), "/new/v2?q");

        let all = Rewrite { prefix: "/new".to_owned(), ..Rewrite::default() };
        assert_eq!(target(&all, "a", "/a?q").unwrap(), "/new/a?q");
        assert_eq!(target(&all, "a", "/").unwrap(), "/new/");
    }

    #[test]
    fn groups_of_an_expression_stand_where_the_replacement_says() {
        let path = |uri| substituted("^/v1/(.*)$", "/$1", uri).unwrap();

        assert_eq!(path("/v1/a%20b/c?d=/v1/"), "/a%20b/c?d=/v1/");
        assert_eq!(path("/v2/a?b"), "/v2/a?b");
        let named = substituted("/(?<id>[0-9]+)", "/item-${id}$$", "/7/8");
        assert_eq!(named.as_deref(), Some("/item-7$/8"));
    }

    #[test]
    fn what_is_no_path_any_more_is_refused() {
        for (regex, replacement, uri) in [
            ("^/v1/", "", "/v1/a"),
            ("/x", "/..", "/a/x/b"),
            ("x", "%2e%2e", "/a/x/b"),
            ("/x", "?", "/a/x"),
            ("x", "#", "/x"),
            ("x", "%", "/x"),
            ("x", " ", "/x"),
            ("^/a(.*)b/", "/$1", "/a/..b/"),
        ] {
            assert_eq!(substituted(regex, replacement, uri), None, "{regex} {replacement}");
        }
        let doubled = "$1".repeat(100);
        assert_eq!(substituted("^(/.*)$", &doubled, &format!("/{}", "a".repeat(1000))), None);
    }

    #[test]
    fn an_expression_has_the_groups_that_are_asked_for_and_a_size() {
        let bad = |regex, replacement| Substitute::new(regex, replacement).unwrap_err();

        assert_eq!(bad("(a)", "/$2"), BadSubstitute::Replacement("2".to_owned()));
        assert_eq!(bad("(a)", "/$1x"), BadSubstitute::Replacement("1x".to_owned()));
        assert_eq!(bad("(a)", "/${b}"), BadSubstitute::Replacement("b".to_owned()));
        assert!(matches!(bad("(", "/"), BadSubstitute::Regex(_)));
        assert!(matches!(bad("[a-z]{1000}{1000}", "/"), BadSubstitute::Regex(_)));
        assert!(Substitute::new("(a)", "$$2/$1").is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_replaced_a_target_stays_a_path_of_the_same_host(
            replacement in "[a./%2e\\\\?#@: ]{0,8}",
            uri in "/[ab./]{0,12}(\\?[a-z]{0,3})?",
        ) {
            let substitute = Some(Substitute::new("[ab]+", &replacement).unwrap());
            let rewrite = Rewrite { substitute, ..Rewrite::default() };
            let uri: Uri = uri.parse().unwrap();
            prop_assume!(Judged::new(uri.path()).is_ok()); // others have no route
            if let Ok(Some(target)) = rewrite.target("a", &uri) {
                prop_assert!(target.path().starts_with('/') && Judged::new(target.path()).is_ok());
                prop_assert_eq!(target.query(), uri.query());
            }
        }
    }
}
