//! What a configuration file may say.
#![cfg(feature = "serde")]

use std::time::Duration;

use http::header::HeaderName;
use portcullis_jwt_auth::{
    Algorithm, CacheLimits, ClaimPath, ClaimRule, Policy, ScopeRule, TokenSource, Typ,
};
use serde::Deserialize;

fn read(file: &str) -> Result<Policy, String> {
    toml::from_str(file).map_err(|error| error.message().to_owned())
}

#[test]
fn every_key_may_be_left_out() {
    assert_eq!(read(""), Ok(Policy::new()));
    assert_eq!(
        read("sources = ['bearer']\nmax_token_bytes = 16384\nclaims = []"),
        Ok(Policy::new())
    );
}

#[test]
fn a_whole_section_is_read() {
    let file = r#"
        sources = [
            "bearer",
            { header = "X-Token" },
            { header = "x-auth", prefix = "Token " },
            { cookie = "session" },
            { query = "token" },
        ]
        realm = "api"
        max_token_bytes = 4096
        trace_subject = true
        claims = [
            { claim = "role", equals = "admin" },
            { claim = "email_verified", equals = true },
            { claim = "sub", in = ["alice", "bob"] },
            { claim = "realm_access.roles", contains = "ops" },
            { claim = ["https://example.com/level"], gte = 3 },
            { claim = "score", lt = 0.5 },
        ]
    "#;
    let half = serde_json::Number::from_f64(0.5).unwrap();
    let policy = Policy::new()
        .sources([
            TokenSource::bearer(),
            TokenSource::header(HeaderName::from_static("x-token")),
            TokenSource::prefixed_header(HeaderName::from_static("x-auth"), "Token "),
            TokenSource::cookie("session").unwrap(),
            TokenSource::query("token").unwrap(),
        ])
        .realm("api")
        .max_token_bytes(4096)
        .trace_subject()
        .claims([
            ClaimRule::equals("role", "admin"),
            ClaimRule::equals("email_verified", true),
            ClaimRule::one_of("sub", ["alice", "bob"]),
            ClaimRule::contains("realm_access.roles", "ops"),
            ClaimRule::gte(["https://example.com/level"], 3),
            ClaimRule::lt("score", half),
        ]);

    assert_eq!(read(file), Ok(policy));
}

#[test]
fn what_is_asked_of_tokens_is_read() {
    let file = r#"
        require = ["jti", ["https://example.com/org"]]
        scopes = ["read", { all = ["list", "write"] }, { any = ["ops", "admin"] }]
        typ = "access_token"
        max_age = "1h 30m"
        optional = true
        allow_preflight = true
        resource_metadata = "https://api.example/.well-known/oauth-protected-resource"
        [cache]
        max_entries = 5
        max_bytes = 2048
        max_ttl = "30s"
    "#;
    let policy = Policy::new()
        .require(
            [vec!["jti".to_owned()], vec!["https://example.com/org".to_owned()]]
                .map(ClaimPath::from_iter),
        )
        .scopes([
            ScopeRule::from("read"),
            ScopeRule::all(["list", "write"]),
            ScopeRule::any(["ops", "admin"]),
        ])
        .typ(Typ::AccessToken)
        .max_age(Duration::from_secs(90 * 60))
        .optional()
        .allow_preflight()
        .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
        .cache(CacheLimits::new().max_entries(5).max_bytes(2048).max_ttl(Duration::from_secs(30)));

    assert_eq!(read(file), Ok(policy));
    assert_eq!(read("typ = 'any'\nscopes = []\noptional = false\ncache = {}"), Ok(Policy::new()));
    assert_eq!(read("typ = ['JWT']"), Ok(Policy::new().typ(Typ::one_of(["JWT"]))));
    assert_eq!(read("cache.max_entries = 0"), Ok(Policy::new().cache(CacheLimits::off())));
}

#[test]
fn what_cannot_be_asked_of_tokens_is_refused() {
    for wrong in [
        "typ = 'at+jwt'",
        "typ = 'OneOf'",
        "typ = 7",
        "max_age = 60",
        "max_age = 'long'",
        "max_age = '-1s'",
        "scopes = 'read'",
        "scopes = ['a b']",
        "scopes = ['']",
        "scopes = [{ all = [] }]",
        "scopes = [{ any = 'read' }]",
        "scopes = [{ none = ['read'] }]",
        "scopes = [{ all = ['a'], any = ['b'] }]",
        "require = ['']",
        "require = 'jti'",
        "optional = 'yes'",
        "cache = false",
        "cache = { max_ttl = 5 }",
        "cache = { ttl = '5m' }",
        "resource_metadata = 7",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let error = read("typ = 'at+jwt'").unwrap_err();
    assert!(error.contains("\"any\", \"access_token\", or a list of types"), "{error}");
}

#[test]
fn a_source_that_makes_no_sense_is_refused() {
    for source in [
        "'basic'",
        "'Bearer'",
        "{}",
        "{ header = 'no spaces' }",
        "{ header = 'x-token', cookie = 'session' }",
        "{ cookie = 'session', prefix = 'JWT ' }",
        "{ prefix = 'JWT ' }",
        "{ cookie = 'a=b' }",
        "{ cookie = '' }",
        "{ query = '' }",
        "{ jwt = 'x' }",
        "7",
    ] {
        assert!(read(&format!("sources = [{source}]")).is_err(), "{source}");
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    for rule in [
        "{ claim = 'a' }",
        "{ equals = 'a' }",
        "{ claim = 'a', gt = '3' }",
        "{ claim = 'a', gte = true }",
        "{ claim = 'a', lt = nan }",
        "{ claim = 'a', lte = inf }",
        "{ claim = 'a', equals = nan }",
        "{ claim = 'a', equals = ['b'] }",
        "{ claim = 'a', equals = 2020-01-01 }",
        "{ claim = 'a', in = [] }",
        "{ claim = 'a', in = 'b' }",
        "{ claim = 'a', in = [['b']] }",
        "{ claim = 'a', contains = {} }",
        "{ claim = 'a', gt = 1, lt = 3 }",
        "{ claim = 'a', matches = 'b' }",
        "{ claim = '', equals = 1 }",
        "{ claim = 'a..b', equals = 1 }",
        "{ claim = [], equals = 1 }",
        "{ claim = ['a', ''], equals = 1 }",
        "{ claim = 7, equals = 1 }",
    ] {
        assert!(read(&format!("claims = [{rule}]")).is_err(), "{rule}");
    }
}

#[test]
fn an_unknown_key_or_a_secret_is_refused() {
    for key in ["secret = 'x'", "keys = []", "realms = 'a'", "max_token_bytes = -1"] {
        assert!(read(key).is_err(), "{key}");
    }
}

#[test]
fn an_error_says_what_would_have_been_right() {
    let error = read("sources = ['basic']").unwrap_err();
    assert!(error.contains("\"bearer\", or a table with one of"), "{error}");
    let error = read("claims = [{ claim = 'a', gt = 1, lt = 3 }]").unwrap_err();
    assert!(error.contains("a rule has one of"), "{error}");
}

#[test]
fn an_algorithm_is_read_by_its_registered_name() {
    #[derive(Deserialize)]
    struct Section {
        algorithms: Vec<Algorithm>,
    }

    let section: Section = toml::from_str("algorithms = ['RS256', 'EdDSA', 'Ed25519']").unwrap();
    assert_eq!(section.algorithms, [Algorithm::RS256, Algorithm::EdDSA, Algorithm::EdDSA]);
    for name in ["none", "rs256", "ES512"] {
        assert!(toml::from_str::<Section>(&format!("algorithms = ['{name}']")).is_err(), "{name}");
    }
    // What a file may say is what a log shows.
    assert_eq!(Algorithm::PS384.to_string(), "PS384");
}
