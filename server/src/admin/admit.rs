use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, with_local_recorder};
use subtle::ConstantTimeEq;

use super::Known;

/// Lets changes through to those who may make them, before anything is read of their bodies, and counts what came of them.
pub(super) async fn changes(
    State(known): State<Known>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let plan = known.current().plan.clone();
    let admitted = admit(plan.admin_token.as_deref(), client, request.headers());
    let path = request.uri().path().to_owned();
    let (outcome, response) = match admitted {
        Ok(()) => {
            let response = next.run(request).await;
            let outcome = if response.status().is_success() { "applied" } else { "rejected" };
            tracing::warn!(%client, path, outcome, "a change was asked for");
            (outcome, response)
        }
        Err(refusal) => {
            tracing::warn!(%client, path, reason = refusal.reason(), "a change was refused");
            (refusal.reason(), refusal.into_response())
        }
    };
    with_local_recorder(&*plan.recorder, || {
        counter!("portcullis_admin_changes_total", "outcome" => outcome).increment(1);
    });
    response
}

/// Lets those look who ask for an address, or for this machine by its name. Another name that leads here is one that a web
/// page has given to this machine, to read what is here as its own.
pub(super) async fn looks(
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if is_local(client) && !names_this_machine(request.headers()) {
        tracing::warn!(%client, "a look by a name that is not this machine's was refused");
        return Refusal::Browser.into_response();
    }
    next.run(request).await
}

fn is_local(client: SocketAddr) -> bool {
    client.ip().to_canonical().is_loopback()
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(authority) = host.to_str().unwrap_or_default().parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
}

/// Why somebody may not ask for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refusal {
    /// It is a script of a web page, which its reader's browser runs.
    Browser,
    /// It comes from elsewhere, and there is no token to show.
    NotLocal,
    /// It does not show the token.
    WrongToken,
}

impl Refusal {
    const fn reason(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::NotLocal => "no_token_configured",
            Self::WrongToken => "wrong_token",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Browser => {
                "no web page may do that but the one here, and that with `admin.token` alone"
            }
            Self::NotLocal => "without `admin.token` this is for clients on the same machine",
            Self::WrongToken => "this needs `authorization: Bearer` and the token of `admin.token`",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "outcome": "refused", "problems": [self.detail()] }));
        let no_store = [(CACHE_CONTROL, "no-store")];
        match self {
            Self::WrongToken => {
                (StatusCode::UNAUTHORIZED, no_store, [(WWW_AUTHENTICATE, "Bearer")], body)
                    .into_response()
            }
            Self::Browser | Self::NotLocal => {
                (StatusCode::FORBIDDEN, no_store, body).into_response()
            }
        }
    }
}

/// With a token, who shows it; without, who connects from this machine. No browser on behalf of some page but the gateway's
/// own, whose reader has to have the token.
fn admit(token: Option<&str>, client: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_browser = headers.contains_key(ORIGIN) || headers.contains_key(FETCH_SITE);
    if is_browser && (token.is_none() || !is_own_page(headers)) {
        return Err(Refusal::Browser);
    }
    let Some(token) = token else {
        return is_local(client).then_some(()).ok_or(Refusal::NotLocal);
    };
    let shown = headers.get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let is_right = match shown.split_at_checked(SCHEME.len()) {
        Some((scheme, shown)) => {
            scheme.eq_ignore_ascii_case(SCHEME) && shown.ct_eq(token.as_bytes()).into()
        }
        None => false,
    };
    if is_right { Ok(()) } else { Err(Refusal::WrongToken) }
}

/// Whether a browser asks on behalf of the page that is served here: it says whose page it is (RFC 6454, section 7; Fetch
/// Metadata, section 2).
fn is_own_page(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map_or(&[][..], |host| host.as_bytes());
    let is_ours = |origin: &[u8]| {
        let authority =
            origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        authority == Some(host)
    };
    headers.get(ORIGIN).is_none_or(|origin| is_ours(origin.as_bytes()))
        && headers.get(FETCH_SITE).is_none_or(|site| site == "same-origin")
}

const SCHEME: &[u8] = b"Bearer ";
const FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::HeaderName;

    use super::*;

    const HERE: &str = "127.0.0.1:9";
    const MAPPED: &str = "[::ffff:127.0.0.1]:9";
    const ELSEWHERE: &str = "192.0.2.1:9";

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let each = headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(*name).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        each.collect()
    }

    fn try_it(token: Option<&str>, client: &str, sent: &[(&str, &str)]) -> Result<(), Refusal> {
        admit(token, client.parse().unwrap(), &headers(sent))
    }

    #[test]
    fn without_a_token_only_the_same_machine_may() {
        assert_eq!(try_it(None, HERE, &[]), Ok(()));
        assert_eq!(try_it(None, MAPPED, &[]), Ok(()));
        assert_eq!(try_it(None, "[::1]:9", &[]), Ok(()));
        assert_eq!(try_it(None, ELSEWHERE, &[]), Err(Refusal::NotLocal));
        let shown = [("authorization", "Bearer ")];
        assert_eq!(try_it(None, ELSEWHERE, &shown), Err(Refusal::NotLocal));
    }

    #[test]
    fn with_a_token_all_have_to_show_it() {
        for client in [HERE, ELSEWHERE] {
            let try_it = |value| try_it(Some("secret"), client, &[("authorization", value)]);
            assert_eq!(try_it("Bearer secret"), Ok(()));
            assert_eq!(try_it("bearer secret"), Ok(()));
            for wrong in
                ["Bearer Secret", "Bearer secre", "Bearer secrets", "Basic secret", "secret", ""]
            {
                assert_eq!(try_it(wrong), Err(Refusal::WrongToken), "{wrong}");
            }
        }
        assert_eq!(try_it(Some("secret"), HERE, &[]), Err(Refusal::WrongToken));
    }

    #[test]
    fn without_a_token_no_web_page_may() {
        for header in [("origin", "null"), ("sec-fetch-site", "same-origin")] {
            assert_eq!(try_it(None, HERE, &[header]), Err(Refusal::Browser));
        }
    }

    #[test]
    fn with_the_token_the_own_page_may_and_no_other() {
        let try_it = |more: &[(&str, &str)]| {
            let shown = [("host", "10.0.0.1:9"), ("authorization", "Bearer secret")];
            try_it(Some("secret"), HERE, &[&shown[..], more].concat())
        };

        assert_eq!(
            try_it(&[("origin", "http://10.0.0.1:9"), ("sec-fetch-site", "same-origin")]),
            Ok(())
        );
        assert_eq!(try_it(&[("origin", "https://10.0.0.1:9")]), Ok(()));
        for (origin, site) in [
            ("null", "same-origin"),
            ("http://10.0.0.1", "same-origin"),
            ("http://10.0.0.1:9", "cross-site"),
            ("http://10.0.0.1:9", "same-site"),
            ("http://evil.example", "cross-site"),
            ("ftp://10.0.0.1:9", "same-origin"),
        ] {
            let sent = [("origin", origin), ("sec-fetch-site", site)];
            assert_eq!(try_it(&sent), Err(Refusal::Browser), "{origin} {site}");
        }
    }

    #[test]
    fn this_machine_is_named_by_its_addresses_and_as_localhost() {
        for host in ["127.0.0.1:9090", "[::1]:9090", "localhost:9090", "LocalHost", "10.1.2.3"] {
            assert!(names_this_machine(&headers(&[("host", host)])), "{host}");
        }
        assert!(names_this_machine(&headers(&[])));
        for host in ["evil.example:9090", "localhost.evil.example", "127.0.0.1.nip.io", "", "a b"] {
            assert!(!names_this_machine(&headers(&[("host", host)])), "{host}");
        }
    }
}
