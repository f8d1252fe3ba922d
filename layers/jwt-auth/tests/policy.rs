//! What a policy asks of a valid token, whom it lets through without one, and what the others are told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    Algorithm, CacheLimits, ClaimRule, Claims, ConfigError, Issuer, JwtAuthLayer, Key, Policy,
    ScopeRule, TokenSource, Typ, Unauthorized,
};
use serde_json::{Value, json};
use tower::{Layer, Service, service_fn};

const SECRET: &[u8] = b"a secret that is only for testing";
const NOW: u64 = 1_800_000_000;
const METADATA: &str = "https://api.example/.well-known/oauth-protected-resource";

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn at_now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn build(policy: Policy) -> Result<JwtAuthLayer, ConfigError> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256]).unwrap()]);
    Ok(JwtAuthLayer::new(policy, [issuer.leeway(Duration::from_secs(10))])?.clock(at_now))
}

fn typed(typ: Option<&str>, claims: &Value) -> String {
    choose_backend();
    let header = Header { typ: typ.map(str::to_owned), ..Header::default() };
    encode(&header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn token(claims: &Value) -> String {
    typed(None, claims)
}

fn valid() -> String {
    token(&json!({ "sub": "alice", "exp": NOW + 60 }))
}

fn bearer(token: &str) -> Request<()> {
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap()
}

/// The request as the inner service gets it, or the refusal. It is sent twice: the second time the token is known.
async fn send(policy: Policy, request: Request<()>) -> Result<Request<()>, Response<()>> {
    let inner = service_fn(|request: Request<()>| {
        let mut response = Response::new(());
        response.extensions_mut().insert(Arc::new(request));
        ready(Ok::<_, Infallible>(response))
    });
    let mut service = build(policy).unwrap().layer(inner);
    let first = service.call(request.clone()).await.unwrap();
    let mut second = service.call(request).await.unwrap();
    assert_eq!(first.status(), second.status());
    assert_eq!(first.headers(), second.headers());
    match second.extensions_mut().remove::<Arc<Request<()>>>() {
        Some(request) => Ok(Arc::into_inner(request).unwrap()),
        None => Err(second),
    }
}

async fn verdict(policy: Policy, token: &str) -> Result<(), Unauthorized> {
    send(policy, bearer(token)).await.map(drop).map_err(|response| reason(&response))
}

fn reason(response: &Response<()>) -> Unauthorized {
    *response.extensions().get().unwrap()
}

async fn challenge(policy: Policy, request: Request<()>) -> (StatusCode, String) {
    let response = send(policy, request).await.unwrap_err();
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    (response.status(), challenge)
}

#[tokio::test]
async fn a_token_of_another_type_is_invalid() {
    let claims = json!({ "exp": NOW + 60 });
    let cases = [
        (Typ::Any, None, true),
        (Typ::Any, Some("logout+jwt"), true),
        (Typ::AccessToken, Some("at+jwt"), true),
        (Typ::AccessToken, Some("application/at+jwt"), true),
        (Typ::AccessToken, Some("JWT"), false),
        (Typ::AccessToken, None, false),
        (Typ::one_of(["JWT"]), Some("jwt"), true),
        (Typ::one_of(["JWT"]), Some("at+jwt"), false),
        (Typ::one_of(["JWT"]), None, false),
    ];
    for (typ, there, accepted) in cases {
        let expected = if accepted { Ok(()) } else { Err(Unauthorized::WrongType) };
        let policy = Policy::new().typ(typ.clone());
        assert_eq!(verdict(policy, &typed(there, &claims)).await, expected, "{typ:?} {there:?}");
    }
}

#[tokio::test]
async fn a_token_that_was_issued_too_long_ago_is_invalid() {
    let policy = || Policy::new().max_age(Duration::from_secs(100));
    let cases = [
        (json!({ "exp": NOW + 60, "iat": NOW }), Ok(())),
        (json!({ "exp": NOW + 60, "iat": NOW - 110 }), Ok(())), // the leeway is 10 seconds
        (json!({ "exp": NOW + 60, "iat": NOW - 111 }), Err(Unauthorized::TooOld)),
        (json!({ "exp": NOW + 60, "iat": 0 }), Err(Unauthorized::TooOld)),
        (json!({ "exp": NOW + 60 }), Err(Unauthorized::MissingClaim)),
        (json!({ "exp": NOW + 60, "iat": "now" }), Err(Unauthorized::MalformedClaim)),
        (json!({ "exp": NOW + 60, "iat": NOW + 60 }), Err(Unauthorized::IssuedInFuture)),
        (json!({ "exp": NOW - 60, "iat": NOW }), Err(Unauthorized::Expired)),
    ];
    for (claims, expected) in cases {
        assert_eq!(verdict(policy(), &token(&claims)).await, expected, "{claims}");
    }
    assert_eq!(verdict(Policy::new(), &token(&json!({ "exp": NOW, "iat": 0 }))).await, Ok(()));
}

#[tokio::test]
async fn a_claim_that_is_required_is_there() {
    let policy = || Policy::new().require(["jti", "realm.roles"]);
    let cases = [
        (json!({ "exp": NOW, "jti": "1", "realm": { "roles": [] } }), Ok(())),
        (json!({ "exp": NOW, "jti": "1", "realm": { "roles": null } }), Err(())),
        (json!({ "exp": NOW, "jti": "1", "realm": {} }), Err(())),
        (json!({ "exp": NOW, "realm": { "roles": [] } }), Err(())),
    ];
    for (claims, expected) in cases {
        let expected = expected.map_err(|()| Unauthorized::MissingClaim);
        assert_eq!(verdict(policy(), &token(&claims)).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn a_token_without_the_scopes_is_told_which() {
    let policy = || {
        Policy::new().scopes([
            ScopeRule::from("read"),
            ScopeRule::any(["write", "admin"]),
            ScopeRule::all(["read", "list"]),
        ])
    };
    for scope in [json!("read list write"), json!(["admin", "list", "read"])] {
        let allowed = token(&json!({ "exp": NOW, "scope": scope }));
        assert_eq!(verdict(policy(), &allowed).await, Ok(()), "{scope}");
    }
    for scope in [json!("read list"), json!("write list"), json!("read write"), json!(null)] {
        let lacking = token(&json!({ "exp": NOW, "scp": scope }));
        let (status, challenge) = challenge(policy(), bearer(&lacking)).await;

        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(
            challenge,
            r#"Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="read write list""#
        );
        assert_eq!(verdict(policy(), &lacking).await, Err(Unauthorized::InsufficientScope));
    }
}

#[tokio::test]
async fn scopes_are_named_where_another_token_would_do() {
    let policy = || Policy::new().scopes(["read"]).claims([ClaimRule::equals("sub", "bob")]);
    let scoped = token(&json!({ "exp": NOW, "scope": "read", "sub": "alice" }));
    let cases = [
        (Request::new(()), r#"Bearer scope="read""#),
        (
            bearer("x"),
            r#"Bearer error="invalid_token", error_description="the token is malformed", scope="read""#,
        ),
        (
            bearer(&scoped),
            r#"Bearer error="insufficient_scope", error_description="the token does not allow this""#,
        ),
        (
            bearer("a b"),
            r#"Bearer error="invalid_request", error_description="the credential is malformed""#,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(challenge(policy(), request).await.1, expected);
    }
}

#[tokio::test]
async fn challenges_point_to_the_metadata() {
    let policy = || Policy::new().realm("api").resource_metadata(METADATA);
    let (status, challenged) = challenge(policy(), Request::new(())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenged, format!(r#"Bearer realm="api", resource_metadata="{METADATA}""#));

    let (_, challenged) = challenge(policy(), bearer("x")).await;
    assert!(challenged.ends_with(&format!(r#"", resource_metadata="{METADATA}""#)), "{challenged}");
}

#[tokio::test]
async fn the_first_source_that_has_a_scheme_names_it() {
    let in_authorization = || TokenSource::prefixed_header(AUTHORIZATION, "Token ");
    let query = || TokenSource::query("token").unwrap();
    let cookie = || TokenSource::cookie("token").unwrap();
    let x_token = || TokenSource::header(HeaderName::from_static("x-token"));
    let cases = [
        (vec![TokenSource::bearer()], "Bearer"),
        (vec![in_authorization(), query()], "Token"),
        (vec![query(), in_authorization()], "Bearer"),
        (vec![cookie(), x_token(), in_authorization()], "Token"),
        (vec![cookie(), x_token()], "Bearer"),
        (vec![TokenSource::prefixed_header(AUTHORIZATION, "")], "Bearer"),
        (vec![TokenSource::prefixed_header(AUTHORIZATION, "a,b ")], "Bearer"),
        (vec![TokenSource::prefixed_header(AUTHORIZATION, "Token:")], "Bearer"),
    ];
    for (sources, expected) in cases {
        let policy = Policy::new().sources(sources.clone());
        assert_eq!(challenge(policy, Request::new(())).await.1, expected, "{sources:?}");
    }
}

#[tokio::test]
async fn an_optional_token_may_be_left_out_and_must_be_good() {
    let policy = || Policy::new().optional().claims([ClaimRule::equals("sub", "alice")]);
    let mut anonymous = Request::builder().header(AUTHORIZATION, "Basic eDp5").body(()).unwrap();
    let forged: Claims = [("sub".to_owned(), json!("root"))].into_iter().collect();
    anonymous.extensions_mut().insert(forged);

    let request = send(policy(), anonymous).await.unwrap();
    assert!(request.extensions().get::<Claims>().is_none());
    assert_eq!(request.headers()[AUTHORIZATION], "Basic eDp5");

    let request = send(policy(), bearer(&valid())).await.unwrap();
    assert_eq!(request.extensions().get::<Claims>().unwrap().subject(), Some("alice"));
    let cases = [
        ("x".to_owned(), Unauthorized::MalformedToken),
        (token(&json!({ "exp": 1 })), Unauthorized::Expired),
        (token(&json!({ "exp": NOW, "sub": "bob" })), Unauthorized::Forbidden),
        ("a b".to_owned(), Unauthorized::MalformedCredential),
        (String::new(), Unauthorized::MalformedCredential),
    ];
    for (token, expected) in cases {
        assert_eq!(verdict(policy(), &token).await, Err(expected), "{token}");
    }
}

fn preflight() -> Request<()> {
    Request::builder()
        .method(Method::OPTIONS)
        .uri("/path?token=x&a=1")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn a_preflight_passes_without_its_credential_when_that_is_allowed() {
    let sources = || [TokenSource::bearer(), TokenSource::query("token").unwrap()];
    let policy = || Policy::new().sources(sources()).allow_preflight();
    for credential in ["Bearer x", "Bearer a b"] {
        let mut request = preflight();
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(credential));
        let forged: Claims = [("sub".to_owned(), json!("root"))].into_iter().collect();
        request.extensions_mut().insert(forged);
        let passed = send(policy(), request).await.unwrap();

        assert!(passed.headers().get(AUTHORIZATION).is_none());
        assert_eq!(passed.uri(), "/path?a=1");
        assert_eq!(passed.headers().len(), 2);
        assert!(passed.extensions().get::<Claims>().is_none());
    }
}

#[tokio::test]
async fn what_is_no_preflight_needs_a_token() {
    let allowed = || Policy::new().allow_preflight();
    assert!(send(allowed(), preflight()).await.is_ok());
    assert_eq!(
        reason(&send(Policy::new(), preflight()).await.unwrap_err()),
        Unauthorized::MissingToken
    );

    let mut get = preflight();
    *get.method_mut() = Method::GET;
    let mut without_origin = preflight();
    without_origin.headers_mut().remove("origin");
    let mut without_method = preflight();
    without_method.headers_mut().remove("access-control-request-method");
    for request in [get, without_origin, without_method] {
        let response = send(allowed(), request).await.unwrap_err();
        assert_eq!(reason(&response), Unauthorized::MissingToken);
    }
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    static CLOCK: AtomicU64 = AtomicU64::new(NOW);

    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let clock = || UNIX_EPOCH + Duration::from_secs(CLOCK.load(SeqCst));
    let mut service = build(Policy::new()).unwrap().clock(clock).layer(inner);
    let early = bearer(&token(&json!({ "nbf": NOW + 100, "exp": NOW + 200 })));
    let steps = [
        (NOW, StatusCode::UNAUTHORIZED),
        (NOW + 89, StatusCode::UNAUTHORIZED),
        (NOW + 90, StatusCode::OK),
        (NOW + 100, StatusCode::OK),
        (NOW + 89, StatusCode::UNAUTHORIZED), // the clock was set back
        (NOW + 209, StatusCode::OK),
        (NOW + 210, StatusCode::UNAUTHORIZED),
        (NOW + 209, StatusCode::OK),
    ];
    for (now, expected) in steps {
        CLOCK.store(now, SeqCst);
        assert_eq!(service.call(early.clone()).await.unwrap().status(), expected, "{now}");
    }
}

#[test]
fn a_policy_that_asks_for_what_cannot_be_is_refused() {
    let error = |policy| build(policy).map(drop).unwrap_err();

    assert_eq!(error(Policy::new().typ(Typ::one_of([""; 0]))), ConfigError::NoType);
    assert_eq!(error(Policy::new().scopes([ScopeRule::all([""; 0])])), ConfigError::NoScope);
    assert_eq!(error(Policy::new().scopes([ScopeRule::any([""; 0])])), ConfigError::NoScope);
    let scope = error(Policy::new().scopes(["read", "a b"]));
    assert_eq!(scope, ConfigError::InvalidScope("a b".to_owned()));
    for url in
        ["/metadata", "http://api.example", "https://api.example/\"", "https://api.example/é"]
    {
        let refused = build(Policy::new().resource_metadata(url)).map(drop);
        assert_eq!(refused, Err(ConfigError::InvalidResource(url.to_owned())), "{url}");
    }
    assert!(build(Policy::new().resource_metadata(METADATA)).is_ok());
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(Policy, Typ, ScopeRule, CacheLimits)>();
}
