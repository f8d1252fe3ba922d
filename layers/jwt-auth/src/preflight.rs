use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, ORIGIN};

/// Whether a browser asks if it may ask (Fetch §4.8), which it does without credentials.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
