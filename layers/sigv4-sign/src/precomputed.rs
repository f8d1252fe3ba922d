/// The SHA-256 of a request's body, where the application knows it beforehand.
///
/// Put into the extensions of a request, it is what is signed for the body, which streams by unread; the policy is not
/// asked. The service refuses a body that does not have this hash.
///
/// ```
/// use portcullis_sigv4_sign::PayloadSha256;
///
/// # let (digest, mut request) = ([0; 32], http::Request::new(()));
/// request.extensions_mut().insert(PayloadSha256::new(digest));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PayloadSha256([u8; 32]);

impl PayloadSha256 {
    /// The hash `digest`.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}
