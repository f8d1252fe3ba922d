use std::sync::Arc;
use std::time::SystemTime;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use super::gate::Gate;
use crate::{SecretKeys, SigV4Verify, Verifying};

/// Wraps a service in [`SigV4Verify`]: lets requests through that are signed by a key of your own.
///
/// Clients are SDKs of AWS as they are, by keys that the application issues. A request passes without its signature
/// (`Authorization`, `X-Amz-Date`, `X-Amz-Security-Token`, `X-Amz-Content-Sha256`, or what stands for them in a presigned
/// URL), with [`Verified`](crate::Verified) in its extensions, and with its body as [`PlainBody`](crate::PlainBody).
///
/// ```
/// # use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use portcullis_sigv4_sign::{
///     FixedKeys, PlainBody, SecretKey, ServiceName, SigV4VerifyLayer, Unverified, Verified, Verifying,
/// };
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let keys = FixedKeys::new([("AKIDALICE", SecretKey::new("wJalrXUtnFEMI"))]);
/// let store = service_fn(async |request: Request<PlainBody<Empty<Bytes>>>| {
///     let client: &Verified = request.extensions().get().unwrap();
///     assert_eq!(client.access_key_id(), "AKIDALICE");
///     Ok::<_, Infallible>(Response::new(()))
/// });
/// let service = SigV4VerifyLayer::new(Verifying::new(ServiceName::new("s3").unwrap()), keys).layer(store);
///
/// let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.extensions().get(), Some(&Unverified::Unsigned));
/// # });
/// ```
///
/// - A signature covers the request as it came: its raw target, `Host` or else the authority, every header that it names.
///   `host` and each `x-amz-*` have to be signed; `content-type` and others need not, as S3 has it.
/// - An `Expect` or a `Content-Length` that was signed and lost on the way counts as it must have been. Any other header
///   that was signed has to be there.
/// - A clock may differ by [`Verifying::clock_skew`]; a presigned URL lasts for what it says, one second to seven days.
/// - A hashed body is hashed while it passes. Of a body in signed chunks each passes when its signature was checked. A
///   checksum in the trailer is checked, and dropped. The frame that completes a body is held back until all this is
///   done, so no upstream ever has a complete body that is not the client's; only an empty one has nothing to hold back.
/// - `aws-chunked` is decoded: `Content-Length` becomes that of the data, what else speaks of the coding goes.
/// - For services other than S3, dot and empty segments are taken out of the path, as they are for the signature; and a
///   request with a body has to have `x-amz-content-sha256`.
/// - An unknown key, a wrong signature and a wrong body are refusals with [`Unverified`](crate::Unverified), which has
///   the code of S3, in the extensions. A body is refused with an error to whoever reads it below, too.
///
/// Signing keys of a day are kept for keys that were used with success, and shared by all services of a layer.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct SigV4VerifyLayer<R = DefaultBody> {
    gate: Arc<Gate>,
    clock: fn() -> SystemTime,
    empty: R,
}

impl SigV4VerifyLayer {
    /// Accepts what `verifying` says, by the secrets that `keys` finds.
    pub fn new(verifying: Verifying, keys: impl SecretKeys) -> Self {
        let gate = Arc::new(Gate::new(verifying, keys));
        Self { gate, clock: SystemTime::now, empty: DefaultBody::new() }
    }
}

impl<R> SigV4VerifyLayer<R> {
    /// Tells the time by `clock`, asked once for each request. [`SystemTime::now`] by default.
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the body of a refusal with `empty`, for response bodies that have no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> SigV4VerifyLayer<F> {
        SigV4VerifyLayer { gate: self.gate, clock: self.clock, empty }
    }
}

impl<S, R: Clone> Layer<S> for SigV4VerifyLayer<R> {
    type Service = SigV4Verify<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SigV4Verify::new(inner, Arc::clone(&self.gate), self.clock, self.empty.clone())
    }
}
