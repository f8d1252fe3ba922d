//! What the inner service sees of a request, and the client of a refusal.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    Algorithm, ClaimPath, ClaimRule, Claims, ConfigError, Issuer, Jwks, JwtAuth, JwtAuthLayer, Key,
    Policy, ResponseFuture, Scalar, TokenSource, Unauthorized,
};
use portcullis_refusal::Refused;
use serde_json::{Value, json};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const SECRET: &str = "a secret that is only for testing";
const X_TOKEN: HeaderName = HeaderName::from_static("x-token");

fn at_1000() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1000)
}

fn issuer() -> Issuer {
    Issuer::new([Key::secret(SECRET, [Algorithm::HS256]).unwrap()])
}

fn layer(policy: Policy) -> JwtAuthLayer {
    JwtAuthLayer::new(policy, [issuer()]).unwrap().clock(at_1000)
}

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn token(claims: &Value) -> String {
    choose_backend();
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn valid() -> String {
    token(&json!({ "sub": "alice", "exp": 2000 }))
}

fn bearer(token: &str) -> Request<()> {
    Request::builder().header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap()
}

/// The request as the inner service gets it, or the refusal.
async fn send(policy: Policy, request: Request<()>) -> Result<Request<()>, Response<()>> {
    let inner = service_fn(|request: Request<()>| {
        let mut response = Response::new(());
        response.extensions_mut().insert(Arc::new(request));
        ready(Ok::<_, Infallible>(response))
    });
    let mut response = layer(policy).layer(inner).oneshot(request).await.unwrap();
    match response.extensions_mut().remove::<Arc<Request<()>>>() {
        Some(request) => Ok(Arc::into_inner(request).unwrap()),
        None => Err(response),
    }
}

async fn refused(policy: Policy, request: Request<()>) -> Response<()> {
    send(policy, request).await.unwrap_err()
}

fn reason(response: &Response<()>) -> Unauthorized {
    *response.extensions().get().unwrap()
}

#[tokio::test]
async fn a_valid_token_becomes_claims() {
    let request = send(Policy::new(), bearer(&valid())).await.unwrap();

    let claims: &Claims = request.extensions().get().unwrap();
    assert_eq!(claims.subject(), Some("alice"));
    assert_eq!(claims.get("exp"), Some(&json!(2000)));
}

#[tokio::test]
async fn claims_that_were_there_before_do_not_survive() {
    let mut request = bearer(&valid());
    let forged: Claims = [("sub".to_owned(), json!("root"))].into_iter().collect();
    request.extensions_mut().insert(forged);

    let request = send(Policy::new(), request).await.unwrap();
    assert_eq!(request.extensions().get::<Claims>().unwrap().subject(), Some("alice"));
}

#[tokio::test]
async fn a_request_without_a_token_is_challenged_without_an_error() {
    let response = refused(Policy::new(), Request::new(())).await;

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    assert_eq!(response.headers().len(), 1);
    assert_eq!(reason(&response), Unauthorized::MissingToken);

    let response = refused(Policy::new().realm(r#"a "b" \c"#), Request::new(())).await;
    assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="a \"b\" \\c""#);
}

#[tokio::test]
async fn an_expired_token_is_an_invalid_one() {
    let expired = bearer(&token(&json!({ "exp": 900 })));
    let response = refused(Policy::new().realm("api"), expired).await;

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()[WWW_AUTHENTICATE],
        r#"Bearer realm="api", error="invalid_token", error_description="the token has expired""#
    );
    let refused: &Refused = response.extensions().get().unwrap();
    assert_eq!(refused.reason(), "expired");
    assert_eq!(reason(&response), Unauthorized::Expired);
}

#[tokio::test]
async fn a_valid_token_that_is_not_allowed_is_forbidden() {
    let policy = || Policy::new().claims([ClaimRule::equals("sub", "bob")]);
    let response = refused(policy(), bearer(&valid())).await;

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.starts_with(r#"Bearer error="insufficient_scope", "#), "{challenge}");
    assert!(!challenge.contains("bob"), "{challenge}");
    assert_eq!(reason(&response), Unauthorized::Forbidden);

    let bob = token(&json!({ "sub": "bob", "exp": 2000 }));
    assert!(send(policy(), bearer(&bob)).await.is_ok());
}

#[tokio::test]
async fn a_forged_token_is_unauthorized_whatever_it_claims() {
    choose_backend();
    let forged = encode(
        &Header::default(),
        &json!({ "sub": "bob", "exp": 2000 }),
        &EncodingKey::from_secret(b"another secret"),
    );
    let policy = Policy::new().claims([ClaimRule::equals("sub", "bob")]);
    let response = refused(policy, bearer(&forged.unwrap())).await;

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(reason(&response), Unauthorized::InvalidSignature);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_a_bad_one() {
    for value in ["Bearer", "Bearer ", "bearer   ", "Bearer a b", "Bearer a,b", "Bearer \"a\""] {
        let request = Request::builder().header(AUTHORIZATION, value).body(()).unwrap();
        let response = refused(Policy::new(), request).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{value}");
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with(r#"Bearer error="invalid_request", "#), "{challenge}");
        assert_eq!(reason(&response), Unauthorized::MalformedCredential, "{value}");
    }
    let bytes = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    let request = Request::builder().header(AUTHORIZATION, bytes).body(()).unwrap();
    assert_eq!(refused(Policy::new(), request).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn two_authorizations_are_a_bad_request() {
    for second in ["Bearer x", "Basic eDp5"] {
        let mut request = bearer(&valid());
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(second));
        let response = refused(Policy::new(), request).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(reason(&response), Unauthorized::AmbiguousToken);
    }
}

#[tokio::test]
async fn a_grpc_client_is_answered_in_grpc() {
    let cases = [
        (Request::new(()), Policy::new(), "16"),
        (bearer("x"), Policy::new(), "16"),
        (bearer("a b"), Policy::new(), "13"),
        (bearer(&valid()), Policy::new().claims([ClaimRule::equals("sub", "bob")]), "7"),
    ];
    for (mut request, policy, status) in cases {
        request
            .headers_mut()
            .insert("content-type", HeaderValue::from_static("application/grpc+proto"));
        let response = refused(policy, request).await;

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], status);
    }
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case_and_no_other() {
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let value = format!("{scheme} {}", valid());
        let request = Request::builder().header(AUTHORIZATION, value).body(()).unwrap();
        assert!(send(Policy::new(), request).await.is_ok(), "{scheme}");
    }
    for scheme in ["Basic", "Bearers", "Token", ""] {
        let value = format!("{scheme} {}", valid());
        let request = Request::builder().header(AUTHORIZATION, value).body(()).unwrap();
        let response = refused(Policy::new(), request).await;
        assert_eq!(reason(&response), Unauthorized::MissingToken, "{scheme}");
    }
}

fn everywhere() -> Policy {
    Policy::new().sources([
        TokenSource::cookie("session").unwrap(),
        TokenSource::query("token").unwrap(),
        TokenSource::prefixed_header(X_TOKEN, "JWT "),
        TokenSource::bearer(),
    ])
}

/// A request that carries `valid()` where a `true` stands: bearer, header, cookie, query.
fn carrying([in_bearer, in_header, in_cookie, in_query]: [bool; 4]) -> Request<()> {
    let query =
        if in_query { format!("?a=1&token={}&b=2", valid()) } else { "?a=1&b=2".to_owned() };
    let mut request = Request::builder().uri(format!("https://api.example/path{query}"));
    if in_bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {}", valid()));
    }
    if in_header {
        request = request.header(X_TOKEN, format!("jwt {}", valid()));
    }
    let cookies =
        if in_cookie { format!("a=1; session={}; b=2", valid()) } else { "a=1; b=2".into() };
    request.header(COOKIE, cookies).body(()).unwrap()
}

#[tokio::test]
async fn one_request_has_one_token_but_a_header_outranks_a_cookie() {
    for case in 0..16_u8 {
        let places = [case & 1 != 0, case & 2 != 0, case & 4 != 0, case & 8 != 0];
        let [in_bearer, in_header, in_cookie, in_query] = places;
        let outranked = in_cookie && (in_bearer || in_header);
        let tokens = places.iter().filter(|there| **there).count() - usize::from(outranked);

        let expected = match tokens {
            0 => Err(Unauthorized::MissingToken),
            1 if outranked && in_query => Err(Unauthorized::AmbiguousToken),
            1 => Ok(()),
            _ => Err(Unauthorized::AmbiguousToken),
        };
        let outcome = send(everywhere(), carrying(places)).await;
        assert_eq!(outcome.as_ref().map(drop).map_err(reason), expected, "{places:?}");
    }
}

#[tokio::test]
async fn no_token_is_passed_on_and_nothing_else_is_lost() {
    for places in [
        [true, false, false, false],
        [false, true, false, false],
        [false, false, true, false],
        [false, false, false, true],
        [true, false, true, false], // the cookie is not used, and yet it goes
    ] {
        let request = send(everywhere(), carrying(places)).await.unwrap();

        assert_eq!(request.uri(), "https://api.example/path?a=1&b=2", "{places:?}");
        assert_eq!(request.headers().len(), 1, "{places:?}");
        assert_eq!(request.headers()[COOKIE], "a=1; b=2", "{places:?}");
    }
}

#[tokio::test]
async fn a_password_for_the_upstream_is_passed_on() {
    let mut request = carrying([false, false, true, false]);
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));

    let request = send(everywhere(), request).await.unwrap();
    assert_eq!(request.headers()[AUTHORIZATION], "Basic eDp5");
}

#[tokio::test]
async fn a_header_may_be_the_token_alone() {
    let policy = || Policy::new().sources([TokenSource::header(X_TOKEN)]);
    let with = |value: String| Request::builder().header(X_TOKEN, value).body(()).unwrap();

    let request = send(policy(), with(valid())).await.unwrap();
    assert!(request.headers().is_empty());
    let response = refused(policy(), with(String::new())).await;
    assert_eq!(reason(&response), Unauthorized::MissingToken);
    let response = refused(policy(), bearer(&valid())).await;
    assert_eq!(reason(&response), Unauthorized::MissingToken);
}

#[tokio::test]
async fn the_same_cookie_or_parameter_twice_is_ambiguous() {
    let cookies = |request: http::request::Builder| {
        request.header(COOKIE, format!("session={}", valid())).header(COOKIE, "a=1; session=x")
    };
    let request = cookies(Request::builder()).body(()).unwrap();
    assert_eq!(reason(&refused(everywhere(), request).await), Unauthorized::AmbiguousToken);

    let uri = format!("/?token={}&%74oken=x", valid());
    let request = Request::builder().uri(uri).body(()).unwrap();
    assert_eq!(reason(&refused(everywhere(), request).await), Unauthorized::AmbiguousToken);

    // Whatever the cookies say, the header counts; and all of them go.
    let request = cookies(Request::builder().header(AUTHORIZATION, format!("Bearer {}", valid())));
    let request = send(everywhere(), request.body(()).unwrap()).await.unwrap();
    assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1"]);
}

#[tokio::test]
async fn the_inner_service_is_called_only_when_it_was_readied() {
    let (mut service, mut inner) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(layer(Policy::new()));
    inner.allow(0);
    assert_pending!(service.poll_ready());

    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer(&valid())));
    assert_pending!(response.poll());
    let (_, reply) = assert_ready!(task::spawn(inner.next_request()).poll()).unwrap();
    reply.send_response(Response::new(()));

    assert!(response.is_woken());
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::OK);
}

#[tokio::test]
async fn after_a_refusal_the_inner_service_is_readied_anew() {
    let (mut service, mut inner) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(layer(Policy::new()));

    assert_ready_ok!(service.poll_ready());
    let response = service.call(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    inner.allow(0);
    assert_pending!(service.poll_ready());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    drop(service.call(bearer(&valid())));
    assert!(assert_ready!(task::spawn(inner.next_request()).poll()).is_some());
}

#[tokio::test]
async fn a_refusal_gives_its_permit_back() {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let mut refused = task::spawn(());
    let mut one = layer(Policy::new()).layer(ConcurrencyLimit::new(inner, 1));
    let mut other = one.clone();

    assert_ready_ok!(refused.enter(|cx, _| one.poll_ready(cx)));
    assert_pending!(refused.enter(|cx, _| other.poll_ready(cx)));
    let response = one.call(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    // `one` is still there, and holds nothing.
    assert_ready_ok!(refused.enter(|cx, _| other.poll_ready(cx)));
    let response = other.call(bearer(&valid())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_limit_of_one_is_enough() {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let mut service = layer(Policy::new()).layer(ConcurrencyLimit::new(inner, 1));

    for _ in 0..3 {
        let service = service.ready().await.unwrap();
        let response = service.call(bearer(&valid())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_abandoned_request_gives_its_permit_back() {
    let pending =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut service = layer(Policy::new()).layer(ConcurrencyLimit::new(pending, 1));
    let mut other = service.clone();

    let response = service.ready().await.unwrap().call(bearer(&valid()));
    let mut readied = task::spawn(other.ready());
    assert_pending!(readied.poll());

    drop(response);
    assert!(readied.is_woken());
    assert_ready_ok!(readied.poll());
}

#[tokio::test]
async fn errors_are_those_of_the_inner_service() {
    let (mut service, mut inner) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(layer(Policy::new()));

    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(bearer(&valid())));
    let (_, reply) = assert_ready!(task::spawn(inner.next_request()).poll()).unwrap();
    reply.send_error("broken");
    assert_eq!(assert_ready_err!(response.poll()).to_string(), "broken");

    inner.send_error("closed");
    assert_eq!(assert_ready_err!(service.poll_ready()).to_string(), "closed");
}

#[tokio::test]
async fn a_body_without_a_default_comes_from_a_closure() {
    struct NoDefault(&'static str);
    #[derive(Clone)]
    struct Inner;

    impl Service<Request<String>> for Inner {
        type Response = Response<NoDefault>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<String>) -> Self::Future {
            assert_eq!(request.body(), "untouched");
            ready(Ok(Response::new(NoDefault("inner"))))
        }
    }

    let layer = layer(Policy::new()).refuse_with(|| NoDefault("refused"));
    let request = Request::new("untouched".to_owned());
    let response = layer.layer(Inner).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().0, "refused");

    let request = bearer(&valid()).map(|()| "untouched".to_owned());
    let response = layer.layer(Inner).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().0, "inner");
}

#[test]
fn claims_are_read_by_name_by_path_and_whole() {
    #[derive(serde::Deserialize)]
    struct Mine<'a> {
        sub: &'a str,
        level: u8,
    }

    let claims =
        json!({ "sub": "alice", "level": 3, "a.b": 1, "a": { "b": { "c": 2 } }, "iss": 5 });
    let claims: Claims = claims.as_object().unwrap().clone().into_iter().collect();

    assert_eq!(claims.at(&ClaimPath::from("a.b.c")), Some(&json!(2)));
    assert_eq!(claims.at(&ClaimPath::from(["a.b"])), Some(&json!(1)));
    assert_eq!(claims.at(&ClaimPath::from("a.b.c.d")), None);
    assert_eq!(claims.at(&ClaimPath::from("sub.a")), None);
    assert_eq!(claims.issuer(), None);
    let mine: Mine<'_> = claims.read().unwrap();
    assert_eq!((mine.sub, mine.level), ("alice", 3));
    assert!(claims.read::<Vec<u8>>().is_err());
}

#[test]
fn debugging_shows_neither_secrets_nor_personal_values() {
    let claims: Claims = [("sub".to_owned(), json!("alice"))].into_iter().collect();
    assert_eq!(format!("{claims:?}"), r#"Claims{"sub"}"#);

    let key = Key::secret(SECRET, [Algorithm::HS256]).unwrap().kid("a");
    assert_eq!(format!("{key:?}"), r#"Key { kid: Some("a"), algorithms: [HS256], .. }"#);
    let service = layer(Policy::new()).layer(());
    assert!(!format!("{service:?}").contains("secret"), "{service:?}");
    let error = Key::secret("hunter2", [Algorithm::HS256]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_layer_that_could_believe_no_token_is_not_built() {
    let key = || Key::secret(SECRET, [Algorithm::HS256]).unwrap();
    let build = |policy, issuers: Vec<Issuer>| JwtAuthLayer::new(policy, issuers).unwrap_err();
    let named = |name: &str| Issuer::new([key()]).issuer(name);
    let a = || Some("a".to_owned());

    let cases = [
        (vec![], ConfigError::NoIssuer),
        (vec![Issuer::new([])], ConfigError::NoKey(None)),
        (vec![named("b"), Issuer::new([]).issuer("a")], ConfigError::NoKey(a())),
        (vec![named("a"), issuer()], ConfigError::UnnamedIssuer),
        (vec![named("a"), named("b"), named("a")], ConfigError::DuplicateIssuer("a".to_owned())),
        (vec![named("a").audience([""; 0])], ConfigError::NoAudience(a())),
        (vec![Issuer::new(vec![key(); 33]).issuer("a")], ConfigError::TooManyKeys(a())),
    ];
    for (issuers, expected) in cases {
        assert_eq!(build(Policy::new(), issuers), expected);
    }
    assert!(JwtAuthLayer::new(Policy::new(), [Issuer::new(vec![key(); 32])]).is_ok());
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let build = |policy| JwtAuthLayer::new(policy, [issuer()]).map(drop);
    let from = |sources: Vec<TokenSource>| build(Policy::new().sources(sources));
    let cookie = || TokenSource::cookie("a").unwrap();

    assert_eq!(from(vec![]), Err(ConfigError::NoSource));
    assert_eq!(from(vec![cookie(), cookie()]), Err(ConfigError::DuplicateSource));
    let authorization = TokenSource::prefixed_header(AUTHORIZATION, "JWT ");
    assert_eq!(from(vec![TokenSource::bearer(), authorization]), Err(ConfigError::DuplicateSource));
    assert_eq!(from(vec![cookie(), TokenSource::query("a").unwrap()]), Ok(()));
    for realm in ["a\nb", "a\0", "é"] {
        assert_eq!(build(Policy::new().realm(realm)), Err(ConfigError::InvalidRealm), "{realm:?}");
    }
    for name in ["", "a b", "a=b", "a;b", "é"] {
        assert!(TokenSource::cookie(name).is_err(), "{name:?}");
    }
    assert!(TokenSource::query("").is_err());
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(
        JwtAuthLayer,
        JwtAuth<()>,
        ResponseFuture<(), (), (), (), ()>,
        Unauthorized,
        ConfigError,
    )>();
    check::<(Policy, TokenSource, ClaimRule, ClaimPath, Scalar, Claims)>();
    check::<(Issuer, Key, Jwks, Algorithm)>();
}
