use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
    CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
};
use http::{Method, Request, Response, StatusCode};
use portcullis_refusal::{Dialect, Refusal};
use tower_service::Service;

use crate::{BytesBody, FromBytes, MetadataFuture};

/// Serves the metadata of a protected resource; see [`MetadataLayer`](crate::MetadataLayer).
///
/// An answer of its own gives back the readiness of the inner service, which therefore has to be [`Clone`].
#[derive(Clone, Debug)]
pub struct Metadata<S, M = FromBytes> {
    inner: S,
    document: Arc<Document>,
    make: M,
}

#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) json: Bytes,
}

impl<S, M> Metadata<S, M> {
    pub(crate) const fn new(inner: S, document: Arc<Document>, make: M) -> Self {
        Self { inner, document, make }
    }

    fn answer<B>(&self, method: &Method) -> Response<B>
    where
        M: BytesBody<B>,
    {
        let json = &self.document.json;
        let body = match *method {
            Method::GET => json.clone(),
            Method::HEAD => Bytes::new(),
            Method::OPTIONS => return self.permission(),
            _ => {
                let detail = "the metadata can only be read";
                return Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
                    .header(ALLOW, METHODS)
                    .into_response(Dialect::Http, self.make.body(Bytes::new()));
            }
        };
        let mut response = Response::new(self.make.body(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, json.len().into());
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        response
    }

    /// What a preflight asks for: a client may send headers of its own, such as the version of its protocol.
    fn permission<B>(&self) -> Response<B>
    where
        M: BytesBody<B>,
    {
        let mut response = Response::new(self.make.body(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().extend([
            (ALLOW, METHODS),
            (ACCESS_CONTROL_ALLOW_ORIGIN, ANY),
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, ANY),
        ]);
        response
    }
}

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const ANY: HeaderValue = HeaderValue::from_static("*");

impl<S, M, ReqBody, ResBody> Service<Request<ReqBody>> for Metadata<S, M>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    M: BytesBody<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = MetadataFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if request.uri().path() != self.document.path {
            return MetadataFuture::called(self.inner.call(request));
        }
        // What was readied is not called: it goes, with the permit it may hold, and an unready clone stays.
        self.inner = self.inner.clone();
        MetadataFuture::answered(self.answer(request.method()))
    }
}
