//! The same request, as each version of HTTP has it on the wire.

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri, Version};
use hyper::body::Body;

/// The form of target and framing that a server of HTTP/1.1 takes (RFC 9112 §3.2.1, §6.1). `CONNECT`, which has another
/// form, is no route's.
pub(super) fn to_http1<B: Body>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    let uri = std::mem::take(request.uri_mut());
    if let Some(authority) = uri.authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = target(&uri).into();
    // Of a method that mostly has no body hyper drops one whose length no header tells.
    let body = request.body();
    let unmeasured = !body.is_end_stream() && body.size_hint().exact().is_none();
    if unmeasured && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    measure(request);
}

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
    parts.path_and_query = Some(target(uri));
    // Without an authority there is no such URI: the target as it was is refused by the client.
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

fn target(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn request(uri: &str, host: Option<&str>) -> Request<Empty<&'static [u8]>> {
        let mut request = Request::get(uri).body(Empty::new()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host.parse().unwrap());
        }
        request
    }

    #[test]
    fn the_host_that_the_upstream_is_to_see_is_the_authority_and_never_beside_it() {
        let mut request = request("https://replica:8443/a?b", Some("api.example"));

        to_http2(&mut request, &Scheme::HTTPS);

        assert_eq!(request.uri(), "https://api.example/a?b");
        assert_eq!((request.version(), request.headers().len()), (Version::HTTP_2, 0));
    }

    #[test]
    fn http1_has_the_path_alone_and_a_host() {
        let mut request = request("https://replica:8443/a?b", None);

        to_http1(&mut request);

        assert_eq!(
            (request.uri(), request.version()),
            (&"/a?b".parse().unwrap(), Version::HTTP_11)
        );
        assert_eq!(request.headers()[HOST], "replica:8443");
    }

    #[test]
    fn a_body_without_a_length_is_chunked_in_http1_alone() {
        let frames = StreamBody::new(Never);
        let mut request = Request::get("http://a/").body(frames).unwrap();

        to_http1(&mut request);
        assert_eq!(request.headers()[TRANSFER_ENCODING], "chunked");
        to_http2(&mut request, &Scheme::HTTP);
        assert!(!request.headers().contains_key(TRANSFER_ENCODING));
    }

    proptest! {
        // A request that one connection did not take may go over another, of another version.
        #[test]
        fn either_form_can_be_made_of_the_other(
            host in prop::option::of("[a-z]{1,8}(:[1-9][0-9]{0,3})?"),
            path in "(/[a-z%2F]{0,4}){1,3}(\\?[a-z=]{0,5})?",
            path_only in any::<bool>(),
        ) {
            let uri = format!("http://replica:80{path}");
            let expected = host.clone().unwrap_or_else(|| "replica:80".to_owned());
            let mut request = request(&uri, host.as_deref());
            if path_only {
                to_http1(&mut request);
            }

            to_http2(&mut request, &Scheme::HTTP);
            prop_assert_eq!(request.uri().to_string(), format!("http://{expected}{path}"));
            to_http1(&mut request);
            prop_assert_eq!(request.uri().to_string(), path);
            prop_assert_eq!(&request.headers()[HOST], &expected);
        }
    }

    /// A stream of frames that does not say how many bytes they have.
    struct Never;

    impl futures_core::Stream for Never {
        type Item = Result<hyper::body::Frame<&'static [u8]>, std::convert::Infallible>;

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Pending
        }
    }
}
