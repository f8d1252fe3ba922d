use std::sync::Arc;

/// Whose request it is: found in the extensions of a request that was verified.
///
/// What a layer in front has put there does not survive. A clone costs one reference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    credential: Arc<str>,
    id_length: usize,
}

impl Verified {
    /// By `credential`, which is the id of a key and a scope, with a slash in between.
    pub(super) fn new(credential: &str, id_length: usize) -> Self {
        Self { credential: credential.into(), id_length }
    }

    /// The id of the access key that the request was signed with.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        self.credential.get(..self.id_length).unwrap_or_default()
    }

    /// The region that the request was signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.scope().split('/').nth(1).unwrap_or_default()
    }

    /// Date, region, service and `aws4_request`.
    pub(super) fn scope(&self) -> &str {
        self.credential.get(self.id_length + 1..).unwrap_or_default()
    }
}
