use http::header::{CONNECTION, HeaderValue};
use http::{Response, Version};

/// Tells an HTTP/1 client that no further request will be answered on its connection (RFC 9112 §9.6).
///
/// HTTP/2 and HTTP/3 know no `Connection`, and take one for malformed (RFC 9113 §8.2.2, RFC 9114 §4.2).
pub(crate) fn say_farewell<B>(version: Version, response: &mut Response<B>) {
    let http1 = matches!(version, Version::HTTP_10 | Version::HTTP_11);
    if !http1 || closes(response) {
        return;
    }
    // Added to what is there, which may name headers that are not to be passed on. A header map that is full to its
    // limit of 32,768 keeps the connection open, which the deadline ends.
    let _ = response.headers_mut().try_append(CONNECTION, HeaderValue::from_static("close"));
}

fn closes<B>(response: &Response<B>) -> bool {
    let lines = response.headers().get_all(CONNECTION).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
