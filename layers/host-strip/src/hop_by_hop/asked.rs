use http::header::HeaderValue;
use http::{Method, Request};

/// What a request asked of its connection, by which the response to it is judged; by default, nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    pub(super) upgrade: Option<HeaderValue>,
    pub(super) tunnel: bool,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self { upgrade: None, tunnel: request.method() == Method::CONNECT }
    }
}
