use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    HeaderValue, VARY,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Body as HttpBody;
use pin_project_lite::pin_project;
use tower::Service;

use crate::body::Body;

use super::{Policy, validators};

/// Marks what may be compressed.
#[derive(Clone, Debug)]
pub struct Marked<S> {
    inner: S,
    policy: Arc<Policy>,
}

/// A response before anything became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) status: StatusCode,
    /// Whether it is compressed, if the client takes it so.
    pub(super) is_chosen: bool,
    pub(super) is_head: bool,
}

/// What counts of a request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    is_head: bool,
    as_it_is: bool,
    knows_weak: bool,
}

impl<S> Marked<S> {
    pub(super) const fn new(inner: S, policy: Arc<Policy>) -> Self {
        Self { inner, policy }
    }
}

impl<S> Service<Request<Body>> for Marked<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = Asked {
            is_head: request.method() == Method::HEAD,
            as_it_is: is_not_to_be_transformed(request.headers()),
            knows_weak: validators::knows_weak(request.headers()),
        };
        ResponseFuture { inner: self.inner.call(request), asked, policy: self.policy.clone() }
    }
}

pin_project! {
    /// The response future of [`Marked`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        asked: Asked,
        policy: Arc<Policy>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let Asked { is_head, as_it_is, knows_weak } = *this.asked;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && !as_it_is {
            // RFC 9110 §15.4.5: it says what the response would that the client has.
            response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
            if knows_weak {
                validators::weaken(response.headers_mut());
            }
        }
        let is_chosen = !as_it_is && this.policy.chooses(&response, is_head);
        response.extensions_mut().insert(Before { status, is_chosen, is_head });
        Poll::Ready(Ok(response))
    }
}

impl Policy {
    /// Whether a response is worth it, and stays what it is.
    fn chooses(&self, response: &Response<Body>, is_head: bool) -> bool {
        let (headers, status) = (response.headers(), response.status());
        let bare = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT];
        let has_content =
            !status.is_informational() && !status.is_redirection() && !bare.contains(&status);
        has_content
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && !is_not_to_be_transformed(headers)
            && headers.get(CONTENT_TYPE).is_some_and(|kind| self.takes(kind))
            && self.is_large_enough(response, is_head)
    }

    fn takes(&self, content_type: &HeaderValue) -> bool {
        let Ok(content_type) = content_type.to_str() else { return false };
        // Events are waited for one by one, and gRPC compresses its messages itself.
        let is = |known: &str| {
            content_type.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
        };
        !is("text/event-stream")
            && !is("application/grpc")
            && self.content_types.iter().any(|range| range.matches(content_type))
    }

    fn is_large_enough(&self, response: &Response<Body>, is_head: bool) -> bool {
        let declared = response.headers().get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let exact = response.body().size_hint().exact().filter(|_| !is_head);
        exact.or(declared).is_none_or(|size| size >= self.min_size.max(1))
    }
}

/// RFC 9111 §5.2.1.6, §5.2.2.6.
fn is_not_to_be_transformed(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(CACHE_CONTROL).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|it| it.trim().eq_ignore_ascii_case("no-transform"))
}
