use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{Request, Response};
use portcullis_host_strip::{HopByHop, OnViolation};

/// Each line of the input is one of `Connection`: what it names is gone, but for what it must not name, and nothing panics.
pub(crate) fn connection(input: &[u8]) {
    let mut request = Request::new(());
    let headers = request.headers_mut();
    for line in input.split(|byte| *byte == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(CONNECTION, value);
        }
    }
    let nominates = headers.contains_key(CONNECTION);
    for name in PROTECTED.into_iter().chain(GONE).chain(["x-a", "x-b"]) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    let mut response = Response::new(());
    response.headers_mut().clone_from(request.headers());
    let (all, named) = (request.headers().clone(), named(input));

    // It stays as it was if it is refused.
    let mut strict = Request::new(());
    strict.headers_mut().clone_from(&all);
    if HopByHop::default().on_violation(OnViolation::Reject).strip_request(&mut strict).is_err() {
        assert_eq!(*strict.headers(), all);
    }
    let stripped = HopByHop::default().strip_request(&mut request).expect("one framing");
    let asked = stripped.into_asked();
    HopByHop::default().strip_response(&mut response, &asked).expect("one framing");

    for headers in [request.headers(), response.headers()] {
        assert!(PROTECTED.iter().all(|name| headers.contains_key(*name)));
        assert!(!GONE.iter().any(|name| headers.contains_key(*name)));
        assert!(!headers.contains_key(CONNECTION));
        assert!(nominates || headers.contains_key("x-a"));
        if let Some(named) = &named {
            for name in ["x-a", "x-b"] {
                assert_eq!(
                    headers.contains_key(name),
                    !named.iter().any(|one| one == name),
                    "{named:?}"
                );
            }
        }
    }
}

/// What is named, if it is so few and so plain that nobody can be in doubt.
fn named(input: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(input).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-, \n".contains(&byte);
    let names = text.split([',', '\n']).map(|name| name.trim_matches(' ').to_ascii_lowercase());
    let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    (text.bytes().all(plain) && names.len() <= 16).then_some(names)
}

const PROTECTED: [&str; 6] =
    ["authorization", "content-length", "cookie", "host", "x-forwarded-for", "x-request-id"];
const GONE: [&str; 4] = ["keep-alive", "proxy-connection", "te", "http2-settings"];
