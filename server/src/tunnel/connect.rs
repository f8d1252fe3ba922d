use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{
    CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, Refusal};
use tower::{Layer, Service};

use crate::body::Body;

use super::websocket;

/// Makes the `Upgrade` of HTTP/1.1 of what HTTP/2 asks for by `CONNECT` (RFC 8441), for all that is below, and turns the
/// answer back.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ExtendedConnectLayer;

impl<S> Layer<S> for ExtendedConnectLayer {
    type Service = ExtendedConnect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExtendedConnect { inner }
    }
}

/// See [`ExtendedConnectLayer`].
#[derive(Clone, Debug)]
pub struct ExtendedConnect<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for ExtendedConnect<S>
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
        let protocol = (*request.method() == Method::CONNECT)
            .then(|| request.extensions_mut().remove::<Protocol>())
            .flatten();
        let asked = protocol.map(|protocol| Asked {
            dialect: Dialect::of(request.headers()),
            accept: to_upgrade(&mut request, &protocol),
        });
        ResponseFuture { inner: self.inner.call(request), asked }
    }
}

pin_project! {
    /// The response future of [`ExtendedConnect`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        asked: Option<Asked>,
    }
}

/// What is to be remembered of a request that was turned.
#[derive(Debug)]
struct Asked {
    dialect: Dialect,
    /// What the upstream must answer to the key that it was sent; none without a key.
    accept: Option<HeaderValue>,
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(match this.asked {
            Some(asked) => asked.turn_back(response),
            None => response,
        }))
    }
}

/// Turns the request, and returns what must be the answer to its key, if it has one.
fn to_upgrade<B>(request: &mut Request<B>, protocol: &Protocol) -> Option<HeaderValue> {
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    // The authority outranks a `Host` (RFC 9113 §8.3.1).
    let authority =
        request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    // There is no key in HTTP/2 (RFC 8441 §5).
    let is_websocket = protocol.as_str().eq_ignore_ascii_case("websocket");
    let key = is_websocket.then(websocket::key);
    let accept = key.as_ref().map(websocket::accept);
    // A name that is no value is not asked for, and so refused by the answer.
    let fields = [
        (HOST, authority.and_then(Result::ok)),
        (CONNECTION, Some(HeaderValue::from_static("upgrade"))),
        (UPGRADE, HeaderValue::from_str(protocol.as_str()).ok()),
        (SEC_WEBSOCKET_KEY, key),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            // What a full map has no room for is missed below, and refused there.
            let _ = request.headers_mut().try_insert(name, value);
        }
    }
    accept
}

impl Asked {
    fn turn_back(&self, mut response: Response<Body>) -> Response<Body> {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers_mut();
            let accepted = headers.remove(SEC_WEBSOCKET_ACCEPT);
            if self.accept.is_some() && accepted != self.accept {
                let detail = "the upstream accepted another handshake than it was asked for";
                return self.refuse(StatusCode::BAD_GATEWAY, "websocket_accept", detail);
            }
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
            *response.status_mut() = StatusCode::OK;
        } else if status.is_success() {
            // Nobody asked for a page, and the client would take it for a tunnel.
            let detail = "no tunnel of this protocol is made here";
            return self.refuse(StatusCode::NOT_IMPLEMENTED, "no_tunnel", detail);
        }
        response
    }

    fn refuse(
        &self,
        status: StatusCode,
        reason: &'static str,
        detail: &'static str,
    ) -> Response<Body> {
        Refusal::new(status, reason, detail).into_response(self.dialect, Body::empty())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use portcullis_refusal::Refused;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn connect(protocol: &'static str) -> Request<Body> {
        let mut request = Request::connect("https://a.example/chat").body(Body::empty()).unwrap();
        *request.version_mut() = Version::HTTP_2;
        request.extensions_mut().insert(Protocol::from_static(protocol));
        request
    }

    /// What becomes of a request, and of the response that `answer` makes of the turned one.
    async fn turned(
        request: Request<Body>,
        answer: impl Fn(&Request<Body>) -> Response<Body> + Clone,
    ) -> (Request<Body>, Response<Body>) {
        let seen = Arc::new(Mutex::new(None));
        let service = ExtendedConnectLayer.layer(service_fn(|request: Request<Body>| {
            let response = answer(&request);
            *seen.lock().unwrap() = Some(request);
            std::future::ready(Ok::<_, Infallible>(response))
        }));
        let response = service.oneshot(request).await.unwrap();
        (seen.lock().unwrap().take().unwrap(), response)
    }

    fn switch(request: &Request<Body>) -> Response<Body> {
        let accept = websocket::accept(&request.headers()[SEC_WEBSOCKET_KEY]);
        Response::builder()
            .status(101)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, accept)
            .header("sec-websocket-protocol", "chat")
            .body(Body::empty())
            .unwrap()
    }

    fn status(code: u16) -> impl Fn(&Request<Body>) -> Response<Body> + Clone {
        move |_| Response::builder().status(code).body(Body::empty()).unwrap()
    }

    fn reason(response: &Response<Body>) -> Option<&'static str> {
        response.extensions().get().map(Refused::reason)
    }

    #[tokio::test]
    async fn a_connect_for_a_websocket_is_a_get_that_upgrades_and_its_101_a_200() {
        let (seen, response) = turned(connect("websocket"), switch).await;

        assert_eq!((seen.method(), seen.version()), (&Method::GET, Version::HTTP_11));
        assert_eq!(seen.headers()[HOST], "a.example");
        assert_eq!(
            (&seen.headers()[CONNECTION], &seen.headers()[UPGRADE]),
            (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
        assert_eq!(response.status(), StatusCode::OK);
        let left: Vec<_> = response.headers().keys().collect();
        assert_eq!(left, ["sec-websocket-protocol"]);
    }

    #[tokio::test]
    async fn an_upstream_that_accepts_another_handshake_is_not_believed() {
        let other = |request: &Request<Body>| {
            let mut response = switch(request);
            response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, "AAAA".parse().unwrap());
            response
        };

        let (_, response) = turned(connect("websocket"), other).await;

        assert_eq!(
            (response.status(), reason(&response)),
            (StatusCode::BAD_GATEWAY, Some("websocket_accept"))
        );
    }

    #[tokio::test]
    async fn a_page_is_no_tunnel_and_a_refusal_is_passed_on() {
        let (_, page) = turned(connect("websocket"), status(200)).await;
        let (_, refused) = turned(connect("websocket"), status(403)).await;

        assert_eq!(
            (page.status(), reason(&page)),
            (StatusCode::NOT_IMPLEMENTED, Some("no_tunnel"))
        );
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn another_protocol_has_no_key_and_a_plain_connect_is_left_alone() {
        let (seen, _) = turned(connect("mqtt"), status(403)).await;
        let plain = Request::connect("a.example:443").body(Body::empty()).unwrap();
        let (left, response) = turned(plain, status(200)).await;

        assert!(!seen.headers().contains_key(SEC_WEBSOCKET_KEY));
        assert_eq!((left.method(), left.headers().len()), (&Method::CONNECT, 0));
        assert_eq!(response.status(), StatusCode::OK);
    }
}
