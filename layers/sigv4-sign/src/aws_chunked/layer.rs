use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::AwsChunked;

/// Wraps a service in [`AwsChunked`], for requests that are authorised by other means than a signature, or not at all.
///
/// SDKs send bodies in the `aws-chunked` coding also where they do not sign. Such a body is decoded, and has to have the
/// length and the checksum that were announced; signatures of chunks are dropped and **not checked**. All else passes as
/// it is. [`SigV4VerifyLayer`](crate::SigV4VerifyLayer) decodes by itself.
///
/// ```
/// # use std::convert::Infallible;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use portcullis_sigv4_sign::{AwsChunkedLayer, PlainBody};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let service = AwsChunkedLayer::new().layer(service_fn(async |request: Request<PlainBody<_>>| {
///     assert_eq!(request.headers()["content-length"], "5");
///     assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "hello");
///     Ok::<_, Infallible>(Response::new(()))
/// }));
///
/// let request = Request::put("/key")
///     .header("content-encoding", "aws-chunked")
///     .header("x-amz-decoded-content-length", "5")
///     .header("x-amz-trailer", "x-amz-checksum-crc32")
///     .body(Full::from("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"));
/// assert_eq!(service.oneshot(request.unwrap()).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct AwsChunkedLayer<R = DefaultBody> {
    empty: R,
}

impl AwsChunkedLayer {
    /// Decodes `aws-chunked` bodies.
    pub const fn new() -> Self {
        Self { empty: DefaultBody::new() }
    }
}

impl<R> AwsChunkedLayer<R> {
    /// Makes the body of a refusal with `empty`, for response bodies that have no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> AwsChunkedLayer<F> {
        AwsChunkedLayer { empty }
    }
}

impl<S, R: Clone> Layer<S> for AwsChunkedLayer<R> {
    type Service = AwsChunked<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        AwsChunked::new(inner, self.empty.clone())
    }
}
