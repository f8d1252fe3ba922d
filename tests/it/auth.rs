//! Who is let through, and what is left of the token that let them.

use std::fs::write;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis_tests::{
    ISSUER, InProcess, Recorded, Upstream, ask, choose_backend, gateway, in_an_hour, plan, token,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::TempDir;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway that asks for tokens of `issuers`, in front of `upstream`.
fn guarded(upstream: &Upstream, issuers: &str, auth: &str) -> InProcess {
    gateway(&format!(
        "{issuers}\n
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a', jwt_auth = {auth} }}]",
        upstream.address()
    ))
}

/// A gateway that asks for a token of the issuer `test` by these sources.
fn by_sources(upstream: &Upstream, sources: &str) -> InProcess {
    guarded(upstream, ISSUER, &format!("{{ issuers = ['test'], sources = [{sources}] }}"))
}

async fn with_bearer(gateway: &InProcess, token: &str) -> portcullis_tests::Response {
    ask(gateway.address(), "GET /", &[&format!("authorization: Bearer {token}")]).await
}

/// The status, and the error code of the challenge.
async fn verdict(gateway: &InProcess, token: &str) -> (u16, String) {
    let response = with_bearer(gateway, token).await;
    let challenge = response.header("www-authenticate").first().map(|value| (*value).to_owned());
    let error = challenge.as_deref().and_then(|value| value.split("error=\"").nth(1));
    let error = error.and_then(|rest| rest.split('"').next()).unwrap_or_default();
    (response.status, error.to_owned())
}

fn let_through() -> (u16, String) {
    (200, String::new())
}

fn invalid() -> (u16, String) {
    (401, "invalid_token".to_owned())
}

fn alice() -> Value {
    json!({ "sub": "alice", "exp": in_an_hour() })
}

/// A key pair of an issuer, with its public half in files.
struct Pair {
    algorithm: Algorithm,
    name: &'static str,
    private: EncodingKey,
    public: String,
}

impl Pair {
    fn rsa() -> Self {
        choose_backend();
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let private = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { algorithm: Algorithm::RS256, name: "RS256", private, public: pair.public_key_pem() }
    }

    fn ec() -> Self {
        choose_backend();
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { algorithm: Algorithm::ES256, name: "ES256", private, public: pair.public_key_pem() }
    }

    fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.private).unwrap()
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    /// The configuration of an issuer whose key is this one, in PEM.
    fn issuer_by_pem(&self, folder: &TempDir, name: &str) -> String {
        let path = folder.path().join(name);
        write(&path, &self.public).unwrap();
        format!("keys = [{{ pem = '{}', algorithms = ['{}'] }}]", path.display(), self.name)
    }
}

/// The configuration of an issuer whose keys are in a set.
fn issuer_by_jwks(folder: &TempDir, keys: &[Value]) -> String {
    let path = folder.path().join("jwks.json");
    write(&path, json!({ "keys": keys }).to_string()).unwrap();
    format!("keys = [{{ jwks = '{}' }}]", path.display())
}

#[tokio::test]
async fn keys_in_pem_files_let_those_through_whose_tokens_they_signed() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;

    for pair in [Pair::rsa(), Pair::ec()] {
        let issuer = format!("issuer.a = {{ {} }}", pair.issuer_by_pem(&folder, "key.pem"));
        let gateway = guarded(&upstream, &issuer, "{ issuers = ['a'] }");
        let verdict = verdict(&gateway, &pair.token(None, &alice())).await;

        assert_eq!(verdict, let_through(), "{}", pair.name);
    }
}

#[tokio::test]
async fn a_key_of_the_same_kind_does_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;

    for (pair, other) in [(Pair::rsa(), Pair::rsa()), (Pair::ec(), Pair::ec())] {
        let issuer = format!("issuer.a = {{ {} }}", pair.issuer_by_pem(&folder, "key.pem"));
        let gateway = guarded(&upstream, &issuer, "{ issuers = ['a'] }");
        let verdict = verdict(&gateway, &other.token(None, &alice())).await;

        assert_eq!(verdict, invalid(), "{}", pair.name);
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;
    let pair = Pair::rsa();
    let issuer = format!("issuer.a = {{ {} }}", pair.issuer_by_pem(&folder, "key.pem"));
    let gateway = guarded(&upstream, &issuer, "{ issuers = ['a'] }");

    let secret = EncodingKey::from_secret(pair.public.as_bytes());
    let forged = encode(&Header::default(), &alice(), &secret).unwrap();

    assert_eq!(verdict(&gateway, &forged).await, invalid());
}

#[tokio::test]
async fn a_set_in_a_file_has_keys_of_several_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;
    let (rsa, ec) = (Pair::rsa(), Pair::ec());
    let keys = issuer_by_jwks(&folder, &[rsa.jwk("one"), ec.jwk("two")]);
    let gateway = guarded(&upstream, &format!("issuer.a = {{ {keys} }}"), "{ issuers = ['a'] }");

    let by_rsa = verdict(&gateway, &rsa.token(Some("one"), &alice())).await;
    let by_ec = verdict(&gateway, &ec.token(Some("two"), &alice())).await;

    assert_eq!([by_rsa, by_ec], [let_through(), let_through()]);
}

#[tokio::test]
async fn a_kid_that_is_not_in_the_set_has_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;
    let (rsa, ec) = (Pair::rsa(), Pair::ec());
    let keys = issuer_by_jwks(&folder, &[rsa.jwk("one"), ec.jwk("two")]);
    let gateway = guarded(&upstream, &format!("issuer.a = {{ {keys} }}"), "{ issuers = ['a'] }");

    let unknown = verdict(&gateway, &rsa.token(Some("three"), &alice())).await;
    let swapped = verdict(&gateway, &rsa.token(Some("two"), &alice())).await;

    assert_eq!([unknown, swapped], [invalid(), invalid()]);
}

#[tokio::test]
async fn a_secret_in_a_file_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;
    let path = folder.path().join("secret");
    write(&path, "a secret of the tests, 32 bytes!\n").unwrap();
    let issuer = format!(
        "issuer.a = {{ keys = [{{ secret = 'file:{}', algorithms = ['HS256'] }}] }}",
        path.display()
    );
    let gateway = guarded(&upstream, &issuer, "{ issuers = ['a'] }");

    let verdict = verdict(&gateway, &token(&alice())).await;

    assert_eq!(verdict, let_through());
}

#[tokio::test]
async fn an_expired_token_is_invalid_and_none_is_only_asked_for() {
    let upstream = Upstream::answering(OK).await;
    let gateway = by_sources(&upstream, "'bearer'");

    let expired = verdict(&gateway, &token(&json!({ "exp": 1 }))).await;
    let none = ask(gateway.address(), "GET /", &[]).await;

    assert_eq!(expired, invalid());
    assert_eq!((none.status, none.header("www-authenticate")), (401, vec!["Bearer"]));
}

#[tokio::test]
async fn a_token_for_another_audience_is_invalid() {
    let upstream = Upstream::answering(OK).await;
    let issuer = ISSUER.replace("keys", "audience = ['photos', 'films'], keys");
    let gateway = guarded(&upstream, &issuer, "{ issuers = ['test'] }");

    let with = |audience: Value| token(&json!({ "aud": audience, "exp": in_an_hour() }));
    let films = verdict(&gateway, &with(json!(["songs", "films"]))).await;
    let songs = verdict(&gateway, &with(json!("songs"))).await;

    assert_eq!([films, songs], [let_through(), invalid()]);
}

#[tokio::test]
async fn two_issuers_vouch_each_for_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::answering(OK).await;
    let (one, other) = (Pair::ec(), Pair::ec());
    let issuers = format!(
        "issuer.one = {{ issuer = 'https://one.test', {} }}
         issuer.other = {{ issuer = 'https://other.test', {} }}",
        one.issuer_by_pem(&folder, "one.pem"),
        other.issuer_by_pem(&folder, "other.pem"),
    );
    let gateway = guarded(&upstream, &issuers, "{ issuers = ['one', 'other'] }");

    let by = |pair: &Pair, issuer| pair.token(None, &json!({ "iss": issuer, "exp": in_an_hour() }));
    let of_one = verdict(&gateway, &by(&one, "https://one.test")).await;
    let of_other = verdict(&gateway, &by(&other, "https://other.test")).await;
    let impostor = verdict(&gateway, &by(&one, "https://other.test")).await;
    let stranger = verdict(&gateway, &by(&one, "https://third.test")).await;

    assert_eq!([of_one, of_other], [let_through(), let_through()]);
    assert_eq!([impostor, stranger], [invalid(), invalid()]);
}

#[tokio::test]
async fn rules_ask_nested_and_registered_claims() {
    let upstream = Upstream::answering(OK).await;
    let claims = "{ claim = 'realm_access.roles', contains = 'ops' }, \
        { claim = 'sub', in = ['alice', 'bob'] }, { claim = ['https://a.test/level'], gte = 3 }";
    let auth = format!("{{ issuers = ['test'], claims = [{claims}] }}");
    let gateway = guarded(&upstream, ISSUER, &auth);

    let says = |sub, role, level| {
        let roles = json!({ "roles": ["dev", role] });
        token(&json!({
            "sub": sub, "realm_access": roles, "https://a.test/level": level, "exp": in_an_hour()
        }))
    };
    let allowed = verdict(&gateway, &says("bob", "ops", 3)).await;
    let refused = [
        verdict(&gateway, &says("mallory", "ops", 3)).await,
        verdict(&gateway, &says("bob", "op", 3)).await,
        verdict(&gateway, &says("bob", "ops", 2)).await,
    ];

    assert_eq!(allowed, let_through());
    assert_eq!(refused, [(); 3].map(|()| (403, "insufficient_scope".to_owned())));
}

/// What the upstream sees of a request that was let through.
async fn seen_of(sources: &str, what: &str, headers: &[&str]) -> Recorded {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = by_sources(&upstream, sources);
    let response = ask(gateway.address(), what, headers).await;
    assert_eq!(response.status, 200, "{response:?}");
    upstream.seen().await
}

#[tokio::test]
async fn the_upstream_sees_no_bearer_token() {
    let token = token(&alice());

    let seen =
        seen_of("'bearer'", "GET /a?b=c", &[&format!("Authorization: bearer {token}")]).await;

    assert_eq!(seen.header("authorization"), [""; 0]);
    assert!(!seen.head.contains(&token), "{}", seen.head);
}

#[tokio::test]
async fn the_upstream_sees_no_token_of_a_header() {
    let token = token(&alice());

    let source = "{ header = 'x-auth', prefix = 'Token ' }";
    let seen = seen_of(source, "GET /", &[&format!("x-auth: Token {token}")]).await;

    assert!(!seen.head.contains(&token), "{}", seen.head);
}

#[tokio::test]
async fn the_upstream_sees_all_cookies_but_the_token() {
    let token = token(&alice());

    let cookies = format!("cookie: theme=dark; session={token}; lang=en");
    let seen = seen_of("{ cookie = 'session' }", "GET /", &[&cookies]).await;

    assert_eq!(seen.header("cookie"), ["theme=dark; lang=en"]);
}

#[tokio::test]
async fn the_upstream_sees_all_of_the_query_but_the_token() {
    let what = format!("GET /a%20b?c=%2F&token={}&d", token(&alice()));

    let seen = seen_of("'bearer', { query = 'token' }", &what, &[]).await;

    assert_eq!(seen.line(), "GET /a%20b?c=%2F&d HTTP/1.1");
}

#[tokio::test]
async fn a_cookie_that_was_not_needed_does_not_reach_the_upstream_either() {
    let (token, spare) = (token(&alice()), token(&json!({ "sub": "spare" })));

    let headers = [format!("authorization: Bearer {token}"), format!("cookie: session={spare}")];
    let headers = headers.each_ref().map(String::as_str);
    let seen = seen_of("'bearer', { cookie = 'session' }", "GET /", &headers).await;

    assert!(!seen.head.contains(&token) && !seen.head.contains(&spare), "{}", seen.head);
}

#[tokio::test]
async fn two_tokens_are_a_bad_request() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = by_sources(&upstream, "'bearer', { query = 'token' }");

    let token = token(&alice());
    let what = format!("GET /?token={token}");
    let response =
        ask(gateway.address(), &what, &[&format!("authorization: Bearer {token}")]).await;

    assert_eq!(response.status, 400);
    assert!(response.header("www-authenticate")[0].contains("invalid_request"), "{response:?}");
    assert!(upstream.saw_nothing());
}

#[test]
fn auth_without_a_key_does_not_start() {
    let config = |issuer: &str| {
        format!(
            "listener = [{{ address = '127.0.0.1:0' }}]
             issuer.a = {{ {issuer} }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://a.test' }}] }}
             route = [{{ path = '/', upstream = 'a', jwt_auth = {{ issuers = ['a'] }} }}]"
        )
    };
    let folder = tempfile::tempdir().unwrap();

    for issuer in [
        "keys = []".to_owned(),
        "keys = [{ pem = '/nowhere/key.pem', algorithms = ['RS256'] }]".to_owned(),
        "keys = [{ secret = 'a secret without its algorithms!' }]".to_owned(),
        issuer_by_jwks(&folder, &[]),
    ] {
        assert!(plan(&config(&issuer)).is_err(), "{issuer}");
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_which_one_it_lacks() {
    let upstream = Upstream::answering(OK).await;
    let auth = "{ issuers = ['test'], scopes = ['photos:read'] }";
    let gateway = guarded(&upstream, ISSUER, auth);
    let scoped = |scope: &str| token(&json!({ "scope": scope, "exp": in_an_hour() }));

    let allowed = with_bearer(&gateway, &scoped("openid photos:read")).await;
    let refused = with_bearer(&gateway, &scoped("openid photos:readonly")).await;

    assert_eq!(allowed.status, 200);
    assert_eq!(refused.status, 403);
    let challenge = refused.header("www-authenticate").concat();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert!(challenge.contains("scope=\"photos:read\""), "{challenge}");
}

#[tokio::test]
async fn where_a_token_is_optional_nobody_passes_and_a_bad_one_does_not() {
    let upstream = Upstream::answering(OK).await;
    let gateway = guarded(&upstream, ISSUER, "{ issuers = ['test'], optional = true }");

    assert_eq!(ask(gateway.address(), "GET /", &[]).await.status, 200);
    assert_eq!(verdict(&gateway, &token(&alice())).await, let_through());
    assert_eq!(verdict(&gateway, &token(&json!({ "exp": 1 }))).await, invalid());
}

#[tokio::test]
async fn a_preflight_passes_without_a_token_where_it_may_and_nowhere_else() {
    let upstream = Upstream::answering(OK).await;
    let preflight = ["origin: https://a.test", "access-control-request-method: PUT"];
    for (auth, status) in
        [("{ issuers = ['test'], allow_preflight = true }", 200), ("{ issuers = ['test'] }", 401)]
    {
        let gateway = guarded(&upstream, ISSUER, auth);

        assert_eq!(ask(gateway.address(), "OPTIONS /", &preflight).await.status, status, "{auth}");
        assert_eq!(ask(gateway.address(), "OPTIONS /", &[]).await.status, 401, "{auth}");
    }
}

#[tokio::test]
async fn a_token_may_be_too_old_or_of_the_wrong_kind_before_it_expires() {
    let upstream = Upstream::answering(OK).await;
    let auth = "{ issuers = ['test'], max_age = '10m', typ = 'access_token', cache = { max_entries = 0 } }";
    let gateway = guarded(&upstream, ISSUER, auth);
    let now = in_an_hour() - 3600;

    for (typ, iat, status) in [("at+jwt", now, 200), ("at+jwt", now - 3000, 401), ("JWT", now, 401)]
    {
        let header = Header { typ: Some(typ.to_owned()), ..Header::default() };
        let claims = json!({ "iat": iat, "exp": in_an_hour() });
        choose_backend();
        let key = EncodingKey::from_secret(b"a secret of the tests, 32 bytes!");
        let token = encode(&header, &claims, &key).unwrap();

        assert_eq!(with_bearer(&gateway, &token).await.status, status, "{typ} {iat}");
    }
}

#[tokio::test]
async fn what_becomes_of_tokens_is_counted() {
    let upstream = Upstream::answering(OK).await;
    let gateway = guarded(&upstream, ISSUER, "{ issuers = ['test'] }");
    let token = token(&alice());

    for _ in 0..3 {
        assert_eq!(verdict(&gateway, &token).await, let_through());
    }
    ask(gateway.address(), "GET /", &[]).await;

    let requests = "jwt_auth_requests_total";
    for (series, value) in [
        (format!("{requests}{{outcome=\"allowed\",reason=\"token\"}}"), 3.0),
        (format!("{requests}{{outcome=\"refused\",reason=\"missing_token\"}}"), 1.0),
        ("jwt_auth_token_cache_misses_total".to_owned(), 1.0),
        ("jwt_auth_token_cache_hits_total".to_owned(), 2.0),
        ("jwt_auth_verify_seconds_count".to_owned(), 1.0),
        // It takes microseconds, so there are buckets for them.
        ("jwt_auth_verify_seconds_bucket{le=\"0.01\"}".to_owned(), 1.0),
    ] {
        gateway.until_metric(&series, value).await;
    }
    let scrape = portcullis_tests::get(gateway.admin(), "/metrics").await.body;
    assert!(scrape.contains("le=\"0.00001\""), "{scrape}");
}
