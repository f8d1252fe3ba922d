use std::error::Error;

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// A service that gets documents from issuers: an HTTP client that can be cloned.
///
/// It is said here once what such a client is. Whatever is one implements this.
pub trait KeyFetcher<B>:
    Service<
        Request<B>,
        Response = Response<<Self as KeyFetcher<B>>::Document>,
        Error: Into<Box<dyn Error + Send + Sync>>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of an answer.
    type Document: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<F, B, RB> KeyFetcher<B> for F
where
    F: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    F::Future: Send,
    F::Error: Into<Box<dyn Error + Send + Sync>>,
    RB: Body + Send + 'static,
    RB::Data: Send,
    RB::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Document = RB;
}
