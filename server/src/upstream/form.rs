//! A request as HTTP/2 has it on the wire.

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri, Version};
use hyper::body::Body;

/// A length that the client has written in its own way, with zeros before it, is written in ours: `010` is eight to some.
fn measure<B: Body>(request: &mut Request<B>) {
    let length = request.body().size_hint().exact();
    if let (Some(length), Some(written)) = (length, request.headers_mut().get_mut(CONTENT_LENGTH))
        && matches!(written.as_bytes(), [b'0', _, ..])
    {
        *written = HeaderValue::from(length);
    }
}

/// The form that HTTP/2 has (RFC 9113 §8.3.1): what was in `Host` is in the target, and not beside it, where servers could
/// take the one for the other.
pub(super) fn to_http2<B: Body>(request: &mut Request<B>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    measure(request);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let host = request.headers_mut().remove(HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let uri = request.uri();
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = host.or_else(|| uri.authority().cloned());
    let target = uri.path_and_query().cloned();
    parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    // Without an authority there is no such URI: the target as it was is refused by the client.
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    fn formed(uri: &str, host: Option<&str>) -> Request<Empty<&'static [u8]>> {
        let mut request = Request::get(uri).body(Empty::new()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host.parse().unwrap());
        }
        to_http2(&mut request, &Scheme::HTTPS);
        request
    }

    #[test]
    fn the_host_that_the_upstream_is_to_see_is_the_authority_and_never_beside_it() {
        let request = formed("http://replica:8443/a%2Fb?c=", Some("api.example:81"));

        assert_eq!(request.uri(), "https://api.example:81/a%2Fb?c=");
        assert_eq!((request.version(), request.headers().len()), (Version::HTTP_2, 0));
    }

    #[test]
    fn without_a_host_the_authority_stays() {
        assert_eq!(formed("http://replica:8443", None).uri(), "https://replica:8443/");
    }

    #[test]
    fn a_length_is_a_number_without_zeros_before_it_and_chunks_are_not_told() {
        let mut request = Request::get("http://a/").body(Empty::<&[u8]>::new()).unwrap();
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("00"));
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));

        to_http2(&mut request, &Scheme::HTTP);

        assert_eq!(request.headers()[CONTENT_LENGTH], "0");
        assert!(!request.headers().contains_key(TRANSFER_ENCODING));
    }
}
