//! What pages of other origins may do. How that is said is tower-http's business; what is a preflight, and whose word counts,
//! is said here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN,
};
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_http::cors::{Cors, CorsLayer};

use crate::body::Body;

/// The method that a preflight is about, if this request is one.
pub(crate) fn preflight<B>(request: &Request<B>) -> Option<Method> {
    let headers = request.headers();
    if request.method() != Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    Method::from_bytes(headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// Origins that pages may be of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<Origin>);

#[derive(Clone, Debug)]
enum Origin {
    Exact(String),
    /// What stands before and after the labels.
    Below(String, String),
}

impl Origins {
    /// The origins of these texts, as browsers have them: all of it in lower case, without the port of the scheme.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let text = text.to_ascii_lowercase();
        let Some((scheme, host)) = text.split_once("://") else { return Err(NO_ORIGIN) };
        let name = host.strip_prefix("*.").unwrap_or(host);
        let is_origin = format!("{scheme}://{name}/").parse::<http::Uri>().is_ok_and(|uri| {
            uri.authority().is_some_and(|it| it.as_str() == name && !it.host().is_empty())
        });
        if !is_origin || name.contains(['@', '*']) {
            return Err(NO_ORIGIN);
        }
        let usual = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "://",
        };
        if name.ends_with(usual) {
            return Err("browsers leave out the port that the scheme has anyway");
        }
        self.0.push(if name == host {
            Origin::Exact(text)
        } else {
            Origin::Below(format!("{scheme}://"), format!(".{name}"))
        });
        Ok(())
    }

    pub(crate) fn has(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        self.0.iter().any(|known| match known {
            Origin::Exact(exact) => exact == origin,
            Origin::Below(scheme, name) => {
                let labels =
                    origin.strip_prefix(&**scheme).and_then(|host| host.strip_suffix(&**name));
                let known =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                labels.is_some_and(|labels| !labels.is_empty() && labels.bytes().all(known))
            }
        })
    }
}

const NO_ORIGIN: &str = "an origin like \"https://app.example.com\" or \"https://*.example.com\" is needed, without a path";

/// Answers preflights, and says of responses which pages may read them.
#[derive(Clone, Debug)]
pub struct CrossOriginLayer(CorsLayer);

impl CrossOriginLayer {
    /// A layer that says what `cors` has.
    pub(crate) const fn new(cors: CorsLayer) -> Self {
        Self(cors)
    }
}

impl<S> Layer<S> for CrossOriginLayer {
    type Service = CrossOrigin<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CrossOrigin { cors: self.0.layer(Own { inner }) }
    }
}

/// See [`CrossOriginLayer`].
#[derive(Clone, Debug)]
pub struct CrossOrigin<S> {
    cors: Cors<Own<S>>,
}

impl<S> Service<Request<Body>> for CrossOrigin<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = <Cors<Own<S>> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.cors.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // tower-http takes every `OPTIONS` for a preflight, and most of them are the application's.
        if request.method() == Method::OPTIONS && preflight(&request).is_none() {
            *request.method_mut() = Method::GET;
            request.extensions_mut().insert(PlainOptions);
        }
        self.cors.call(request)
    }
}

/// Marks an `OPTIONS` that is no preflight.
#[derive(Clone, Copy, Debug)]
struct PlainOptions;

/// What is below, whose own word about other origins does not count.
#[derive(Clone, Debug)]
pub struct Own<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Own<S>
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
        if request.extensions_mut().remove::<PlainOptions>().is_some() {
            *request.method_mut() = Method::OPTIONS;
        }
        ResponseFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// The response future of [`Own`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.project().inner.poll(cx))?;
        for name in [
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            response.headers_mut().remove(name);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Origins {
        let mut origins = Origins::default();
        for text in texts {
            origins.add(text).unwrap();
        }
        origins
    }

    #[test]
    fn an_origin_is_known_whole_or_by_what_it_is_below() {
        let known = origins(&[
            "https://App.example.com",
            "http://localhost:3000",
            "https://*.example.org",
            "http://*.test:81",
        ]);
        let has = |origin: &str| known.has(&HeaderValue::try_from(origin).unwrap());

        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://a.example.org",
            "https://a.b.example.org",
            "http://a.test:81",
        ] {
            assert!(has(origin), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.test",
            "https://example.org",
            "https://evilexample.org",
            "https://.example.org",
            "https://evil.test/.example.org",
            "https://evil.test#.example.org",
            "https://evil.test:1@a.example.org",
            "https://a.example.org:444",
            "http://a.example.org",
            "http://a.test",
            "null",
            "",
        ] {
            assert!(!has(origin), "{origin}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for text in [
            "",
            "*",
            "null",
            "example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a b",
            "https://a?b",
            "https://u@a",
            "https://*",
            "https://*.",
            "https://a.*.b",
            "https://*.*.b",
            "https://a:443",
            "http://*.a:80",
        ] {
            assert!(Origins::default().add(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_preflight_has_an_origin_and_asks_for_a_method() {
        let request = |method: &str, headers: &[(&str, &str)]| {
            let request = Request::builder().method(method).uri("/");
            let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
                request.header(*name, *value)
            };
            headers.iter().fold(request, with).body(()).unwrap()
        };
        let (origin, asks) =
            (("origin", "https://a.test"), ("access-control-request-method", "PUT"));

        assert_eq!(preflight(&request("OPTIONS", &[origin, asks])), Some(Method::PUT));
        for (method, headers) in [
            ("OPTIONS", vec![origin]),
            ("OPTIONS", vec![asks]),
            ("GET", vec![origin, asks]),
            ("OPTIONS", vec![]),
        ] {
            assert_eq!(preflight(&request(method, &headers)), None);
        }
    }
}
