use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use super::{Announced, Decoder, is_announced};
use crate::{PlainBody, PlainFuture, Unverified};

/// Decodes `aws-chunked` bodies; see [`AwsChunkedLayer`](crate::AwsChunkedLayer).
///
/// A refusal gives back the readiness of the inner service, which therefore has to be [`Clone`].
#[derive(Clone, Copy, Debug)]
pub struct AwsChunked<S, R = DefaultBody> {
    inner: S,
    empty: R,
}

impl<S, R> AwsChunked<S, R> {
    pub(crate) const fn new(inner: S, empty: R) -> Self {
        Self { inner, empty }
    }
}

impl<S, B, R, ResBody> Service<Request<B>> for AwsChunked<S, R>
where
    S: Service<Request<PlainBody<B>>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes>,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = PlainFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let dialect = Dialect::of(request.headers());
        let (mut parts, body) = request.into_parts();
        let request = decoder(&mut parts.headers).map(|decoder| {
            let body = match decoder {
                Some(decoder) => PlainBody::decoded(body, decoder),
                None => PlainBody::passing(body),
            };
            Request::from_parts(parts, body)
        });
        PlainFuture::call(&mut self.inner, request, dialect, self.empty.clone())
    }
}

/// What decodes the body, if it is to be decoded; the headers are made those of the decoded one.
fn decoder(headers: &mut HeaderMap) -> Result<Option<Decoder>, Unverified> {
    if !is_announced(headers) {
        return Ok(None);
    }
    let announced = Announced::read(headers)?;
    announced.settle(headers)?;
    Ok(Some(Decoder::new(announced, None)))
}
