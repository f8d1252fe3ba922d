use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use subtle::ConstantTimeEq;

use crate::reload::NotReloaded;

use super::Known;

/// Reads the file again, for those who may ask for that, and answers when all workers serve by it.
pub(super) async fn reload(
    State(known): State<Known>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let current = known.current();
    let token = current.plan.admin_token.as_deref();
    if let Err(refusal) = admit(token, client, &headers) {
        tracing::warn!(%client, reason = refusal.reason(), "a reload was refused");
        return refusal.into_response();
    }
    drop(current);
    let answered = known.reloads.ask().await;
    let generation = known.current().generation;
    let (status, outcome, problems) = match &answered {
        Ok(_) => (StatusCode::OK, "applied", Vec::new()),
        Err(NotReloaded::Rejected(found)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "rejected", found.to_vec())
        }
        Err(other) => (StatusCode::CONFLICT, "refused", vec![other.to_string()]),
    };
    let generation = answered.unwrap_or(generation);
    (status, [(CACHE_CONTROL, "no-store")], Json(Answer { outcome, generation, problems }))
        .into_response()
}

#[derive(Debug, Serialize)]
struct Answer {
    outcome: &'static str,
    /// Of the configuration in use.
    generation: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Why somebody may not ask for a reload.
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
            Self::Browser => "no web page may do that",
            Self::NotLocal => "without `admin.token` this is for clients on the same machine",
            Self::WrongToken => "this needs `authorization: Bearer` and the token of `admin.token`",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "outcome": "refused", "problems": [self.detail()] }));
        match self {
            Self::WrongToken => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            Self::Browser | Self::NotLocal => (StatusCode::FORBIDDEN, body).into_response(),
        }
    }
}

/// With a token, who shows it; without, who connects from this machine. No browser on behalf of some page, which says what
/// page that is (Fetch standard, section 3.2).
fn admit(token: Option<&str>, client: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(Refusal::Browser);
    }
    let Some(token) = token else {
        return client.ip().to_canonical().is_loopback().then_some(()).ok_or(Refusal::NotLocal);
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

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::HeaderName;

    use super::*;

    const HERE: &str = "127.0.0.1:9";
    const MAPPED: &str = "[::ffff:127.0.0.1]:9";
    const ELSEWHERE: &str = "192.0.2.1:9";

    fn try_it(
        token: Option<&str>,
        client: &str,
        header: Option<(&str, &str)>,
    ) -> Result<(), Refusal> {
        let headers = header.into_iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        admit(token, client.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn without_a_token_only_the_same_machine_may() {
        assert_eq!(try_it(None, HERE, None), Ok(()));
        assert_eq!(try_it(None, MAPPED, None), Ok(()));
        assert_eq!(try_it(None, "[::1]:9", None), Ok(()));
        assert_eq!(try_it(None, ELSEWHERE, None), Err(Refusal::NotLocal));
        let shown = Some(("authorization", "Bearer "));
        assert_eq!(try_it(None, ELSEWHERE, shown), Err(Refusal::NotLocal));
    }

    #[test]
    fn with_a_token_all_have_to_show_it() {
        for client in [HERE, ELSEWHERE] {
            let try_it = |value| try_it(Some("secret"), client, Some(("authorization", value)));
            assert_eq!(try_it("Bearer secret"), Ok(()));
            assert_eq!(try_it("bearer secret"), Ok(()));
            for wrong in
                ["Bearer Secret", "Bearer secre", "Bearer secrets", "Basic secret", "secret", ""]
            {
                assert_eq!(try_it(wrong), Err(Refusal::WrongToken), "{wrong}");
            }
        }
        assert_eq!(try_it(Some("secret"), HERE, None), Err(Refusal::WrongToken));
    }

    #[test]
    fn no_web_page_may() {
        for header in [("origin", "null"), ("sec-fetch-site", "same-origin")] {
            assert_eq!(try_it(None, HERE, Some(header)), Err(Refusal::Browser));
        }
    }
}
