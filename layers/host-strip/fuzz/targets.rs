use std::net::Ipv6Addr;

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use http::{Request, Response, Version};
use portcullis_host_strip::{ClientHost, HopByHop, OnAmbiguity, OnViolation};

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

/// The first byte says the version, the first line the target, and each further line is one of `Host`: who passes names one
/// host, who does not stays as it was, and who is given the host of its target passes then.
pub(crate) fn client_host(input: &[u8]) {
    let Some(request) = request(input) else { return };
    let (mut strict, mut mended) = (request.clone(), request.clone());
    if ClientHost::default().apply(&mut strict).is_ok() {
        let (version, uri) = (request.version(), request.uri());
        let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
        assert!(hosts.len() <= 1 && (hosts.len() == 1 || version != Version::HTTP_11));
        let default = match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        let target = uri.authority().map(|authority| plain(authority.as_str(), default));
        let host = hosts.first().map(|host| plain(host.to_str().expect("ASCII"), default));
        if let (Some((target, port)), Some((host, other))) = (target, host) {
            assert_eq!(target, host);
            assert!(port == other || port.is_none() || other.is_none());
        }
    }
    assert_eq!((strict.uri(), strict.headers()), (request.uri(), request.headers()));

    let prefer = ClientHost::default().on_ambiguity(OnAmbiguity::PreferAuthority);
    if prefer.apply(&mut mended).is_ok() {
        assert_eq!(ClientHost::default().apply(&mut mended), Ok(None), "{request:?}");
        assert_eq!(mended.uri().path_and_query(), request.uri().path_and_query());
    } else {
        assert_eq!((mended.uri(), mended.headers()), (request.uri(), request.headers()));
    }
}

fn request(input: &[u8]) -> Option<Request<()>> {
    let (version, text) = input.split_first()?;
    let versions = [Version::HTTP_11, Version::HTTP_2, Version::HTTP_10];
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut request = Request::builder()
        .version(versions.into_iter().nth(usize::from(*version) % 3)?)
        .uri(lines.next()?);
    for line in lines.take(4) {
        request = request.header(HOST, HeaderValue::from_bytes(line).ok()?);
    }
    request.body(()).ok()
}

/// A host that passed, and its port, as all write them alike.
fn plain(text: &str, default: Option<u16>) -> (String, Option<u16>) {
    assert!(text.is_ascii() && !text.contains(['@', ',', ' ', '/', '%']), "{text:?}");
    let (host, port) =
        text.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((text, ""));
    let port = if port.is_empty() { default } else { Some(port.parse().expect("a port")) };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match literal {
        Some(literal) => literal.parse::<Ipv6Addr>().expect("an address").to_string(),
        None => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    };
    assert!(!host.is_empty());
    (host, port)
}
