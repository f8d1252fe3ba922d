//! What upstreams learn of a token, and what clients cannot tell them.

use portcullis_tests::{
    ISSUER, InProcess, Recorded, Upstream, ask, gateway, in_an_hour, plan, token,
};
use serde_json::{Value, json};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const RULES: &str = "{ set = 'x-user', from = 'claim:sub' }, \
    { set = 'x-roles', from = 'claim:realm_access.roles' }, \
    { set = 'x-level', from = 'claim:[\"https://example.com/level\"]' }";

/// A gateway that tells `upstream` claims by `rules`, on `/` and, of all who come, on `/open`.
fn telling(upstream: &Upstream, rules: &str) -> InProcess {
    gateway(&format!(
        "{ISSUER}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         [[route]]
         path = '/'
         upstream = 'a'
         jwt_auth = {{ issuers = ['test'] }}
         header_inject = {{ request = [{rules}] }}
         [[route]]
         path = '/open'
         upstream = 'a'
         jwt_auth = {{ issuers = ['test'], optional = true, allow_preflight = true }}
         header_inject = {{ request = [{rules}] }}",
        upstream.address()
    ))
}

fn bearer(mut claims: Value) -> String {
    claims["exp"] = json!(in_an_hour());
    format!("authorization: Bearer {}", token(&claims))
}

/// What the upstream sees of a request that the gateway lets through.
async fn seen(
    gateway: &InProcess,
    upstream: &mut Upstream,
    what: &str,
    headers: &[&str],
) -> Recorded {
    let response = ask(gateway.address(), what, headers).await;
    assert_eq!(response.status, 200, "{}", response.head);
    upstream.seen().await
}

#[tokio::test]
async fn an_upstream_learns_what_claims_say() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);
    let bearer = bearer(json!({
        "sub": "alice",
        "realm_access": { "roles": ["ops", "dev"] },
        "https://example.com/level": 3,
    }));

    // The second and the third time the token is remembered, not verified.
    for _ in 0..3 {
        let request = seen(&gateway, &mut upstream, "GET /", &[&bearer]).await;

        assert_eq!(request.header("x-user"), ["alice"]);
        assert_eq!(request.header("x-roles"), ["ops,dev"]);
        assert_eq!(request.header("x-level"), ["3"]);
        assert!(request.header("authorization").is_empty());
    }
}

/// A client that makes itself out to be somebody else, in every way that an upstream might believe.
const FORGED: [&str; 5] =
    ["x-user: root", "X-USER: admin", "x_user: root", "x-roles: root", "x-level: 9"];

fn nothing_is_said(request: &Recorded) {
    assert!(!request.head.contains("root") && !request.head.contains("admin"), "{}", request.head);
    for name in ["x-user", "x_user", "x-roles", "x-level"] {
        assert!(request.header(name).is_empty(), "{}", request.head);
    }
}

#[tokio::test]
async fn a_forged_header_gives_way_to_the_claim() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);
    let bearer = bearer(json!({ "sub": "alice" }));

    for _ in 0..2 {
        let headers: Vec<_> = FORGED.into_iter().chain([&*bearer]).collect();
        let request = seen(&gateway, &mut upstream, "GET /", &headers).await;

        assert_eq!(request.header("x-user"), ["alice"]);
        assert!(
            !request.head.contains("root") && !request.head.contains("admin"),
            "{}",
            request.head
        );
        assert!(request.header("x-level").is_empty(), "{}", request.head);
    }
}

#[tokio::test]
async fn a_forged_header_goes_without_a_claim_too() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);
    let bearer = bearer(json!({}));

    for _ in 0..2 {
        let headers: Vec<_> = FORGED.into_iter().chain([&*bearer]).collect();
        nothing_is_said(&seen(&gateway, &mut upstream, "GET /", &headers).await);
    }
}

#[tokio::test]
async fn who_needs_no_token_is_nobody() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);

    nothing_is_said(&seen(&gateway, &mut upstream, "GET /open", &FORGED).await);
    let preflight = ["origin: https://a.example", "access-control-request-method: PUT"];
    let bearer = bearer(json!({ "sub": "alice" }));
    let headers: Vec<_> = FORGED.into_iter().chain(preflight).chain([&*bearer]).collect();
    nothing_is_said(&seen(&gateway, &mut upstream, "OPTIONS /open", &headers).await);
}

#[tokio::test]
async fn the_header_of_one_token_is_not_that_of_the_next() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);
    let [alice, bob] = ["alice", "bob"].map(|name| bearer(json!({ "sub": name })));

    for _ in 0..2 {
        for (bearer, name) in [(&alice, "alice"), (&bob, "bob")] {
            let request = seen(&gateway, &mut upstream, "GET /", &[bearer]).await;
            assert_eq!(request.header("x-user"), [name]);
        }
    }
}

#[tokio::test]
async fn what_an_upstream_could_misread_is_not_said() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = telling(&upstream, RULES);

    for sub in [json!("a\r\nx-roles: root"), json!(" admin"), json!("\u{e4}dmin"), json!("")] {
        let bearer = bearer(json!({ "sub": sub, "realm_access": { "roles": ["a,root"] } }));
        nothing_is_said(&seen(&gateway, &mut upstream, "GET /", &[&bearer]).await);
    }
}

#[tokio::test]
async fn a_credential_for_the_upstream_may_be_a_claim() {
    let mut upstream = Upstream::answering(OK).await;
    let rule =
        "{ set = 'authorization', from = 'claim:pass', allow_protected = true, secret = true }";
    let gateway = telling(&upstream, rule);
    let with = bearer(json!({ "pass": "Basic YTpi" }));
    let without = bearer(json!({}));

    let request = seen(&gateway, &mut upstream, "GET /", &[&with]).await;
    assert_eq!(request.header("authorization"), ["Basic YTpi"]);
    let request = seen(&gateway, &mut upstream, "GET /", &[&without]).await;
    assert!(request.header("authorization").is_empty());
}

#[test]
fn a_claim_that_cannot_be_known_is_a_mistake_in_the_file() {
    let problem = |what: &str| {
        let config = format!(
            "listener = [{{ address = '127.0.0.1:0' }}]\n{ISSUER}\
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}\n\
             route = [{{ path = '/', upstream = 'a', {what} }}]"
        );
        plan(&config).unwrap_err()
    };
    let auth = "jwt_auth = { issuers = ['test'] }";
    let of = |list: &str, source: &str| {
        format!("header_inject = {{ {list} = [{{ set = 'x-user', from = '{source}' }}] }}")
    };
    let comes_from = "route[0].header_inject: `x-user` comes from ";

    for (what, expected) in [
        (
            of("request", "claim:sub"),
            format!(
                "4:56: {comes_from}\"claim:sub\": the route has no `jwt_auth`, and so no claims"
            ),
        ),
        (
            format!("{auth}, {}", of("request", "claims.sub")),
            format!(
                "4:91: {comes_from}\"claims.sub\": a source is a claim, as in \"claim:sub\", \
                 \"client_certificate:subject\", \"file:PATH\", \"client_address\""
            ),
        ),
        (
            format!("{auth}, {}", of("request", "claim:")),
            format!("{comes_from}\"claim:\": a claim has no name"),
        ),
        (
            format!("{auth}, {}", of("request", "claim:a..b")),
            format!("{comes_from}\"claim:a..b\": a claim has no name"),
        ),
        (
            format!("{auth}, {}", of("request", "claim:[1]")),
            format!("{comes_from}\"claim:[1]\": invalid type: integer `1`, expected a string"),
        ),
        (
            format!("{auth}, {}", of("response", "claim:sub")),
            "route[0].header_inject: `x-user` is a response's, and its value".to_owned(),
        ),
    ] {
        let said = problem(&what);
        assert!(said.contains(&expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
