use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, Refusal, Refused};
use tower::{Layer, Service};

use crate::body::{Body, Error};
use crate::facts::Facts;

/// Keeps to the gateway what an S3 server says to it and not to the client.
///
/// A `500` becomes a `502`: it is not the gateway that failed. So does a refusal of the gateway's own
/// credentials, whose details are the operator's; that is read from the `Code` of the error, since its
/// status is that of a refused client. All else passes as it is. The answer to a `HEAD` has no body to
/// read, so its `403` stays.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct S3ErrorsLayer;

impl<S> Layer<S> for S3ErrorsLayer {
    type Service = S3Errors<S>;

    fn layer(&self, inner: S) -> Self::Service {
        S3Errors { inner }
    }
}

/// See [`S3ErrorsLayer`].
#[derive(Clone, Debug)]
pub struct S3Errors<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for S3Errors<S>
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
        let has_body = request.method() != Method::HEAD;
        let facts = Facts::get(&request).cloned();
        ResponseFuture { inner: self.inner.call(request), has_body, facts, reading: None }
    }
}

pin_project! {
    /// The response future of [`S3Errors`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        has_body: bool,
        facts: Option<Facts>,
        reading: Option<Reading>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut reading = match this.reading.take() {
            Some(reading) => reading,
            None => {
                let response = ready!(this.inner.poll(cx))?;
                if !*this.has_body || !is_suspect(&response) {
                    return Poll::Ready(Ok(own(response, "", this.facts.as_ref())));
                }
                Reading { response, read: Read::default() }
            }
        };
        if reading.read.poll(reading.response.body_mut(), cx).is_pending() {
            *this.reading = Some(reading);
            return Poll::Pending;
        }
        let Reading { response, read } = reading;
        let code = read.code().unwrap_or_default();
        let response = response.map(|rest| Body::new(ReadBody { read, rest }));
        Poll::Ready(Ok(own(response, &code, this.facts.as_ref())))
    }
}

/// Whether only the body tells whom an answer is for.
fn is_suspect<B>(response: &Response<B>) -> bool {
    let refuses = matches!(response.status().as_u16(), 400 | 401 | 403 | 500);
    let content_type = response.headers().get(CONTENT_TYPE);
    let xml = content_type.is_some_and(|value| {
        value.as_bytes().windows(3).any(|piece| piece.eq_ignore_ascii_case(b"xml"))
    });
    refuses && xml && response.extensions().get::<Refused>().is_none()
}

/// Makes an answer of the gateway's own of one that is not for the client.
fn own(response: Response<Body>, code: &str, facts: Option<&Facts>) -> Response<Body> {
    let ours = response.extensions().get::<Refused>().is_some();
    let (reason, detail) = if CREDENTIALS.contains(&code) {
        (UPSTREAM_CREDENTIALS, "the storage does not know the gateway")
    } else if response.status() == StatusCode::INTERNAL_SERVER_ERROR && !ours {
        (UPSTREAM_ERROR, "the storage failed")
    } else {
        return response;
    };
    if let Some(facts) = facts {
        facts.known().error = Some(format!("the upstream said {} {code}", response.status()));
    }
    let refusal = Refusal::new(StatusCode::BAD_GATEWAY, reason, detail);
    refusal.into_response(Dialect::Http, Body::empty())
}

/// The reason of a refusal in place of what a storage says of the gateway's credentials.
pub(super) const UPSTREAM_CREDENTIALS: &str = "upstream_credentials";
/// The reason of a refusal in place of a storage's `500`.
pub(super) const UPSTREAM_ERROR: &str = "upstream_error";

/// What S3 and its kin say of credentials that are wrong, over or not theirs: not `AccessDenied`, which is of
/// the object, too.
const CREDENTIALS: [&str; 17] = [
    "AccountProblem",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "CredentialsNotSupported",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingSecurityHeader",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

#[derive(Debug)]
struct Reading {
    response: Response<Body>,
    read: Read,
}

/// The frames at the start of a body, and how it went on.
#[derive(Debug, Default)]
struct Read {
    frames: VecDeque<Result<Frame<Bytes>, Error>>,
    bytes: usize,
}

impl Read {
    /// Reads on until there is nothing more, or enough.
    fn poll(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<()> {
        while self.bytes < MAX_ERROR && !body.is_end_stream() {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                break;
            };
            let data = frame.as_ref().ok().and_then(Frame::data_ref);
            self.bytes += data.map_or(0, Bytes::len);
            let broken = frame.is_err();
            self.frames.push_back(frame);
            if broken {
                break;
            }
        }
        Poll::Ready(())
    }

    /// The `Code` of an error in XML.
    fn code(&self) -> Option<String> {
        let data = self.frames.iter().flatten().filter_map(Frame::data_ref);
        let text = data.flat_map(|data| data.iter().copied()).take(MAX_ERROR).collect::<Vec<_>>();
        let text = String::from_utf8_lossy(&text);
        let (_, rest) = text.split_once("<Code>")?;
        let (code, _) = rest.split_once("</Code>")?;
        Some(code.trim().to_owned())
    }
}

/// The errors of S3 have a few hundred bytes.
const MAX_ERROR: usize = 16 << 10;

/// A body whose start was read.
#[derive(Debug)]
struct ReadBody {
    read: Read,
    rest: Body,
}

impl HttpBody for ReadBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.read.frames.pop_front() {
            Some(frame) => {
                let data = frame.as_ref().ok().and_then(Frame::data_ref);
                self.read.bytes -= data.map_or(0, Bytes::len);
                Poll::Ready(Some(frame))
            }
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = u64::try_from(self.read.bytes).unwrap_or(u64::MAX);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn error(code: &str) -> String {
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
    }

    /// What becomes of an answer of the storage; its status and its body.
    async fn passed(method: Method, status: u16, content_type: &str, text: &str) -> (u16, String) {
        let storage = service_fn(async |_: Request<Body>| {
            let answer = Response::builder().status(status).header(CONTENT_TYPE, content_type);
            Ok::<_, std::convert::Infallible>(
                answer.body(Body::new(Full::from(text.to_owned()))).unwrap(),
            )
        });
        let request = Request::builder().method(method).body(Body::empty()).unwrap();

        let response = S3ErrorsLayer.layer(storage).oneshot(request).await.unwrap();

        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_of_the_gateways_credentials_is_502_and_tells_nothing() {
        for code in CREDENTIALS {
            for status in [400, 401, 403] {
                let (status, body) =
                    passed(Method::GET, status, "application/xml", &error(code)).await;

                assert_eq!((status, body.as_str()), (502, ""), "{code}");
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_of_the_client_passes_as_it_is() {
        for (status, code) in
            [(403, "AccessDenied"), (400, "EntityTooSmall"), (404, "NoSuchKey"), (503, "SlowDown")]
        {
            let text = error(code);

            assert_eq!(
                passed(Method::GET, status, "text/xml", &text).await,
                (status, text.clone())
            );
        }
    }

    #[tokio::test]
    async fn a_failure_is_502_whatever_it_says() {
        let xml = passed(Method::GET, 500, "application/xml", &error("InternalError")).await;
        let text = passed(Method::PUT, 500, "text/plain", "oh").await;
        let head = passed(Method::HEAD, 500, "application/xml", "").await;

        assert_eq!(
            [xml, text, head],
            [(502, String::new()), (502, String::new()), (502, String::new())]
        );
    }

    #[tokio::test]
    async fn the_403_of_a_head_stays() {
        let (status, _) = passed(Method::HEAD, 403, "application/xml", "").await;

        assert_eq!(status, 403);
    }

    #[tokio::test]
    async fn an_object_that_reads_like_an_error_is_not_read() {
        let text = error("SignatureDoesNotMatch");

        let got = passed(Method::GET, 200, "application/xml", &text).await;

        assert_eq!(got, (200, text));
    }

    #[tokio::test]
    async fn an_answer_beyond_the_bound_passes_whole() {
        let text = format!("{}{}", "x".repeat(MAX_ERROR), error("SignatureDoesNotMatch"));

        let got = passed(Method::GET, 403, "application/xml", &text).await;

        assert_eq!(got, (403, text));
    }
}
