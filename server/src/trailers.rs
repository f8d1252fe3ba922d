use bytes::Bytes;
use hyper::body::Frame;

/// The same frame, without the trailers that say what a head must have said: where a message ends, where it goes, who sent
/// it (RFC 9110 §6.5.1). Over HTTP/2 nothing else keeps them from a server that takes trailers for headers.
pub(crate) fn sift(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        let unfit: Vec<_> =
            trailers.keys().filter(|name| is_unfit(name.as_str())).cloned().collect();
        for name in unfit {
            trailers.remove(name);
        }
    }
    frame
}

fn is_unfit(name: &str) -> bool {
    UNFIT.contains(&name) || name.starts_with("x-forwarded-")
}

const UNFIT: [&str; 26] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
];
