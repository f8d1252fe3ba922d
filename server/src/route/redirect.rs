use http::header::{HeaderValue, LOCATION};
use http::uri::Scheme;
use http::{Response, StatusCode};

use crate::body::Body;

/// Sends clients elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the parts of a URL, and the status")]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// That of the request if none.
    pub scheme: Option<Scheme>,
    /// Host, and port if it has one. What the client asked for if none.
    pub authority: Option<String>,
    /// The port beside the host that the client asked for; that of the scheme if none.
    pub port: Option<u16>,
    /// That of the request if none.
    pub path: Option<String>,
    /// That of the request if none; without one if it is empty.
    pub query: Option<String>,
}

impl Redirect {
    /// The answer to a request to `host`, for this path and query.
    pub(super) fn answer(
        &self,
        host: &str,
        path: &str,
        query: Option<&str>,
    ) -> Option<Response<Body>> {
        let location = HeaderValue::try_from(self.location(host, path, query)?).ok()?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        Some(response)
    }

    /// None where a host is needed and the client named none.
    fn location(&self, host: &str, path: &str, query: Option<&str>) -> Option<String> {
        let mut location = String::with_capacity(host.len() + path.len() + 16);
        if self.scheme.is_some() || self.authority.is_some() || self.port.is_some() {
            if let Some(scheme) = &self.scheme {
                location.push_str(scheme.as_str());
                location.push(':');
            }
            location.push_str("//");
            match &self.authority {
                Some(authority) => location.push_str(authority),
                None if host.is_empty() => return None,
                // The name of an address of six has its brackets here, as in the request.
                None if host.contains(':') => location.push_str(&format!("[{host}]")),
                None => location.push_str(host),
            }
            if let Some(port) = self.port {
                location.push_str(&format!(":{port}"));
            }
        }
        // Two slashes in front, of whichever kind, would make a host of what follows.
        location.push('/');
        let path = self.path.as_deref().unwrap_or(path);
        push_visible(&mut location, path.trim_start_matches(['/', '\\']));
        match (self.query.as_deref(), query) {
            (Some(""), _) | (None, None) => {}
            (Some(query), _) | (None, Some(query)) => {
                location.push('?');
                push_visible(&mut location, query);
            }
        }
        Some(location)
    }
}

/// What of a URI is no visible ASCII goes on as its bytes, encoded (RFC 3986 §2.1). A backslash, too, which browsers take
/// for a slash.
fn push_visible(location: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_graphic() && byte != b'\\' {
            location.push(char::from(byte));
        } else {
            location.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nowhere() -> Redirect {
        Redirect {
            status: StatusCode::PERMANENT_REDIRECT,
            scheme: None,
            authority: None,
            port: None,
            path: None,
            query: None,
        }
    }

    fn location(redirect: &Redirect, host: &str, path: &str, query: Option<&str>) -> String {
        redirect.location(host, path, query).unwrap()
    }

    #[test]
    fn each_part_is_kept_or_replaced() {
        let https = Redirect { scheme: Some(Scheme::HTTPS), ..nowhere() };
        let kept = |redirect: &Redirect| location(redirect, "a.test", "/b/%20c", Some("d=1"));

        assert_eq!(kept(&https), "https://a.test/b/%20c?d=1");
        assert_eq!(
            kept(&Redirect { port: Some(8443), ..https.clone() }),
            "https://a.test:8443/b/%20c?d=1"
        );
        let elsewhere = Redirect { authority: Some("b.test:8".to_owned()), ..nowhere() };
        assert_eq!(kept(&elsewhere), "//b.test:8/b/%20c?d=1");
        let path = Redirect { path: Some("/new".to_owned()), ..nowhere() };
        assert_eq!(kept(&path), "/new?d=1");
        assert_eq!(kept(&Redirect { query: Some(String::new()), ..path.clone() }), "/new");
        assert_eq!(kept(&Redirect { query: Some("e".to_owned()), ..path }), "/new?e");
        assert_eq!(location(&https, "::1", "/", None), "https://[::1]/");
        assert_eq!(https.location("", "/", None), None);
    }

    proptest! {
        #[test]
        fn no_request_chooses_the_host_that_a_client_is_sent_to(
            path in "/[a-z/\\\\@:.%?#\u{80}-\u{ff}]{0,20}",
            query in proptest::option::of("[ -~\u{80}-\u{ff}]{0,10}"),
            named: bool,
        ) {
            let authority = named.then(|| "b.test".to_owned());
            let redirect = Redirect { authority, ..nowhere() };
            let location = location(&redirect, "a.test", &path, query.as_deref());

            let rest = match named {
                true => location.strip_prefix("//b.test").unwrap(),
                false => location.as_str(),
            };
            prop_assert!(rest.starts_with('/') && !rest.starts_with("//") && !rest.contains('\\'), "{location}");
        }

        #[test]
        fn no_request_adds_a_header(path in "(?s).{0,20}", query in "(?s).{0,20}") {
            let location = location(&nowhere(), "a.test", &path, Some(&query));

            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
        }
    }
}
