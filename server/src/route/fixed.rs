use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use crate::body::Body;

/// The same answer to everybody.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a response and no more")]
pub struct Fixed {
    /// The status, which is a final one.
    pub status: StatusCode,
    /// Headers, none of which says how long the body is or belongs to the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Fixed {
    /// The answer to a request of this method.
    pub(super) fn answer(&self, method: &Method) -> Response<Body> {
        let body = if method == Method::HEAD { Bytes::new() } else { self.body.clone() };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        // RFC 9110 §8.6: never with 204, and with 304 it would be that of another answer.
        if !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        response
    }
}
