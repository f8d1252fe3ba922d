use std::sync::Arc;

use bytes::Bytes;
use tower_layer::Layer;

use crate::metadata::Document;
use crate::{FromBytes, Metadata, ResourceMetadata};

/// Serves the metadata of a protected resource (RFC 9728 §3), and leaves all else to the service it wraps.
///
/// It belongs in front of [`JwtAuthLayer`](crate::JwtAuthLayer): the document is for those who have no token yet. Its path
/// is [`ResourceMetadata::path`], at whatever host it is asked for.
///
/// Scripts of any site may read it (`Access-Control-Allow-Origin: *`), since clients run in browsers, too, and it tells
/// everybody the same. It can be read (`GET`, `HEAD`) and asked about (`OPTIONS`, also as a CORS preflight); all else is
/// `405`.
///
/// ```
/// use portcullis_jwt_auth::{MetadataLayer, Policy, ResourceMetadata};
///
/// let metadata = ResourceMetadata::new("https://api.example/mcp")?
///     .authorization_servers(["https://id.example"]);
/// let policy = Policy::new().resource_metadata(metadata.url());
/// let layer = MetadataLayer::new(&metadata);
///
/// assert_eq!(metadata.url(), "https://api.example/.well-known/oauth-protected-resource/mcp");
/// # Ok::<(), portcullis_jwt_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct MetadataLayer<M = FromBytes> {
    document: Arc<Document>,
    make: M,
}

impl MetadataLayer {
    /// Serves this document.
    pub fn new(metadata: &ResourceMetadata) -> Self {
        let document = Document { path: metadata.path(), json: Bytes::from(metadata.document()) };
        Self { document: Arc::new(document), make: FromBytes }
    }
}

impl<M> MetadataLayer<M> {
    /// Answers with a body of `make`'s, for bodies that bytes do not turn into.
    pub fn answer_with<T>(self, make: T) -> MetadataLayer<T> {
        MetadataLayer { document: self.document, make }
    }
}

impl<S, M: Clone> Layer<S> for MetadataLayer<M> {
    type Service = Metadata<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Metadata::new(inner, self.document.clone(), self.make.clone())
    }
}
