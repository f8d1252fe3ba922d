use http::header::HeaderValue;
use http::request::Parts;

/// Gives the value of a header for each request; any closure of this shape does.
///
/// It is asked in [`call`](tower_service::Service::call), so it must not block.
pub trait Source: Send + Sync {
    /// The value for this request, or `None` where it has none.
    ///
    /// It sees the headers as the rules before its own left them, which is to say with the client's value of its own.
    fn value(&self, request: &Parts) -> Option<HeaderValue>;
}

impl<F> Source for F
where
    F: Fn(&Parts) -> Option<HeaderValue> + Send + Sync,
{
    fn value(&self, request: &Parts) -> Option<HeaderValue> {
        self(request)
    }
}
