//! Issuers that are asked for their keys: what a rotation and an outage do to clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis_tests::{InProcess, Upstream, ask, gateway, in_an_hour, plan, read_request};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A key of an issuer.
struct Signer {
    kid: &'static str,
    private: EncodingKey,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { kid, private: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap() }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self, issuer: &str) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::ES256) };
        let claims = json!({ "sub": "alice", "iss": issuer, "exp": in_an_hour() });
        encode(&header, &claims, &self.private).unwrap()
    }
}

/// An issuer that answers with documents by path, which may change; or not at all, when there are none.
struct Issuer {
    server: Upstream,
    documents: Arc<Mutex<Vec<(&'static str, String)>>>,
}

impl Issuer {
    async fn new(keys: &[&Signer]) -> Self {
        let documents = Arc::new(Mutex::new(Vec::<(&'static str, String)>::new()));
        let served = documents.clone();
        let server = Upstream::serving(move |mut socket, seen| {
            let documents = served.clone();
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    let path = request.line().split(' ').nth(1).unwrap().to_owned();
                    seen.send(request).ok();
                    let documents = documents.lock().unwrap().clone();
                    let found = documents.into_iter().find(|(known, _)| *known == path);
                    let Some((_, body)) = found else { return };
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    if socket.write_all((head + &body).as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        let issuer = Self { server, documents };
        issuer.serve(keys);
        issuer
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn serve(&self, keys: &[&Signer]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        let document =
            json!({ "issuer": self.url(), "jwks_uri": format!("{}/keys?a=b", self.url()) });
        *self.documents.lock().unwrap() = vec![
            ("/.well-known/openid-configuration", document.to_string()),
            ("/keys?a=b", json!({ "keys": keys }).to_string()),
        ];
    }

    /// Beside the key there is one that no verifier of today can use.
    fn serve_with_a_strange_key(&self, key: &Signer) {
        self.serve(&[key]);
        let set = json!({ "keys": [key.jwk(), { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }] });
        for (path, document) in self.documents.lock().unwrap().iter_mut() {
            if path.starts_with("/keys") {
                *document = set.to_string();
            }
        }
    }

    fn fall_silent(&self) {
        self.documents.lock().unwrap().clear();
    }

    fn by_url(&self) -> String {
        format!("issuer.a = {{ jwks_url = '{}/keys?a=b' }}", self.url())
    }

    /// It is asked again and again, so that what it says is known at once.
    fn by_url_often(&self) -> String {
        let refresh = "shortest_lifetime = '100ms', longest_lifetime = '100ms', first_backoff = '50ms', \
                       longest_backoff = '50ms', unknown_kid_interval = '0s'";
        format!("issuer.a = {{ jwks_url = '{}/keys?a=b', refresh = {{ {refresh} }} }}", self.url())
    }

    fn by_discovery(&self) -> String {
        format!("issuer.a = {{ issuer = '{}', discovery = true }}", self.url())
    }
}

/// A gateway with two routes that ask for tokens of the issuer `a`.
fn guarded(upstream: &Upstream, issuer: &str) -> InProcess {
    gateway(&format!(
        "{issuer}\n
         upstream.u = {{ replica = [{{ name = 'u', url = 'http://{}' }}] }}
         route = [
            {{ path = '/', upstream = 'u', jwt_auth = {{ issuers = ['a'] }} }},
            {{ path = '/other', upstream = 'u', jwt_auth = {{ issuers = ['a'] }} }},
         ]",
        upstream.address()
    ))
}

async fn get(gateway: &InProcess, path: &str, token: &str) -> portcullis_tests::Response {
    let bearer = format!("authorization: Bearer {token}");
    ask(gateway.address(), &format!("GET {path}"), &[&bearer]).await
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_routes() {
    let upstream = Upstream::answering(OK).await;
    let key = Signer::new("one");
    let mut issuer = Issuer::new(&[&key]).await;
    let gateway = guarded(&upstream, &issuer.by_discovery());
    let token = key.token(&issuer.url());

    for path in ["/", "/other", "/"] {
        assert_eq!(get(&gateway, path, &token).await.status, 200, "{path}");
    }

    let document = issuer.server.seen().await;
    assert_eq!(document.line(), "GET /.well-known/openid-configuration HTTP/1.1");
    assert_eq!(document.header("host"), [issuer.server.address().to_string()]);
    assert_eq!(issuer.server.seen().await.line(), "GET /keys?a=b HTTP/1.1");
    assert!(issuer.server.saw_nothing());
}

#[tokio::test]
async fn a_rotation_refuses_nobody() {
    let upstream = Upstream::answering(OK).await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::new(&[&old]).await;
    let gateway = guarded(&upstream, &issuer.by_url());
    let name = issuer.url();
    assert_eq!(get(&gateway, "/", &old.token(&name)).await.status, 200);

    issuer.serve(&[&old, &new]);
    for _ in 0..50 {
        let (old, new) = (old.token(&name), new.token(&name));
        let (old, new) = tokio::join!(get(&gateway, "/", &old), get(&gateway, "/other", &new));
        assert_eq!((old.status, new.status), (200, 200));
    }
    let source = format!("{{issuer=\"{}/keys?a=b\",state=\"usable\"}}", issuer.url());
    gateway.until_metric(&format!("jwt_auth_keys{source}"), 2.0).await;
}

#[tokio::test]
async fn an_issuer_that_is_away_locks_out_nobody_whose_key_is_known() {
    let upstream = Upstream::answering(OK).await;
    let (known, unknown) = (Signer::new("known"), Signer::new("unknown"));
    let issuer = Issuer::new(&[&known]).await;
    let gateway = guarded(&upstream, &issuer.by_url());
    let name = issuer.url();
    assert_eq!(get(&gateway, "/", &known.token(&name)).await.status, 200);

    issuer.fall_silent();
    let response = get(&gateway, "/", &unknown.token(&name)).await;
    assert_eq!(response.status, 503);
    assert!(response.body.contains("keys_unavailable"), "{}", response.body);
    assert_eq!(get(&gateway, "/", &known.token(&name)).await.status, 200);
}

#[tokio::test]
async fn without_keys_clients_are_told_to_come_again_until_there_are_some() {
    let upstream = Upstream::answering(OK).await;
    let key = Signer::new("one");
    let issuer = Issuer::new(&[&key]).await;
    issuer.fall_silent();
    let gateway = guarded(&upstream, &issuer.by_discovery());
    let token = key.token(&issuer.url());
    let response = get(&gateway, "/", &token).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after").len(), 1);

    issuer.serve(&[&key]);
    let served = async { while get(&gateway, "/", &token).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), served).await.unwrap();
}

/// Asks for readiness until it says of the issuer `a` that its state is this, and then all that it says of it.
async fn until_state(gateway: &InProcess, state: &str) -> (u16, Value) {
    let found = async {
        loop {
            let response = portcullis_tests::get(gateway.admin(), "/readyz").await;
            let body: Value = serde_json::from_str(&response.body).unwrap();
            if body["issuers"]["a"]["state"] == state && body["upstreams"]["u"]["u"] == "up" {
                return (response.status, body);
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), found).await;
    assert!(found.is_ok(), "it is never {state}");
    found.unwrap()
}

#[tokio::test]
async fn readiness_shows_what_keys_there_are() {
    let upstream = Upstream::answering(OK).await;
    let key = Signer::new("one");
    let issuer = Issuer::new(&[&key]).await;
    issuer.serve_with_a_strange_key(&key);
    let gateway = guarded(&upstream, &issuer.by_discovery());

    let (status, mut body) = until_state(&gateway, "fresh").await;

    let age = body["issuers"]["a"]["age_seconds"].take();
    assert!(age.as_u64().is_some_and(|age| age < 60), "{age}");
    let set = json!({ "state": "fresh", "keys": 1, "skipped": 1, "age_seconds": null });
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    assert_eq!(body["issuers"], json!({ "a": set }));
}

#[tokio::test]
async fn an_issuer_that_falls_silent_degrades_readiness_until_it_is_back() {
    let upstream = Upstream::answering(OK).await;
    let key = Signer::new("one");
    let issuer = Issuer::new(&[&key]).await;
    let gateway = guarded(&upstream, &issuer.by_url_often());
    assert_eq!(until_state(&gateway, "fresh").await.1["status"], "ready");

    issuer.fall_silent();
    let (status, body) = until_state(&gateway, "stale").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    assert_eq!(body["issuers"]["a"]["keys"], 1);
    assert_eq!(body["issuers"]["a"]["last_error"], "failed");
    assert_eq!(get(&gateway, "/", &key.token(&issuer.url())).await.status, 200);

    issuer.serve(&[&key]);
    assert_eq!(until_state(&gateway, "fresh").await.1["status"], "ready");
}

#[tokio::test]
async fn a_gateway_that_can_let_nobody_through_is_not_ready() {
    let upstream = Upstream::answering(OK).await;
    let issuer = Issuer::new(&[]).await;
    issuer.fall_silent();
    let gateway = guarded(&upstream, &issuer.by_url_often());

    let (status, body) = until_state(&gateway, "missing").await;
    assert_eq!((status, &body["status"]), (503, &json!("unready")));
    assert_eq!(
        body["issuers"]["a"],
        json!({ "state": "missing", "keys": 0, "skipped": 0, "last_error": "failed" })
    );

    issuer.serve(&[&Signer::new("one")]);
    assert_eq!(until_state(&gateway, "fresh").await.0, 200);
}

#[tokio::test]
async fn a_gateway_that_can_let_somebody_through_is_ready() {
    let upstream = Upstream::answering(OK).await;
    let issuer = Issuer::new(&[]).await;
    issuer.fall_silent();

    for more in [
        "",
        ", jwt_auth = { issuers = ['a'], optional = true }",
        ", jwt_auth = { issuers = ['b'] }",
        ", jwt_auth = { issuers = ['a', 'b'] }",
    ] {
        let gateway = gateway(&format!(
            "issuer.a = {{ issuer = '{url}', discovery = true }}
             issuer.b = {{ issuer = 'b', keys = [{{ secret = 'a secret of the tests, 32 bytes!', algorithms = ['HS256'] }}] }}
             upstream.u = {{ replica = [{{ name = 'u', url = 'http://{}' }}] }}
             route = [
                {{ path = '/', upstream = 'u', jwt_auth = {{ issuers = ['a'] }} }},
                {{ path = '/other', upstream = 'u'{more} }},
             ]",
            upstream.address(),
            url = issuer.url(),
        ));

        let (status, body) = until_state(&gateway, "missing").await;

        assert_eq!((status, &body["status"]), (200, &json!("degraded")), "{more}");
        assert_eq!(body["issuers"].as_object().unwrap().len(), 1, "those that are asked: {body}");
    }
}

#[tokio::test]
async fn metrics_follow_the_keys() {
    let upstream = Upstream::answering(OK).await;
    let (key, unknown) = (Signer::new("one"), Signer::new("unknown"));
    let issuer = Issuer::new(&[&key]).await;
    let gateway = guarded(&upstream, &issuer.by_url_often());
    let of = |name: &str, label: &str| {
        format!("jwt_auth_{name}{{issuer=\"{}/keys?a=b\"{label}}}", issuer.url())
    };
    let refreshes = |outcome| of("key_set_refreshes_total", &format!(",outcome=\"{outcome}\""));
    let keys = |state| of("keys", &format!(",state=\"{state}\""));
    gateway.until_metric(&keys("usable"), 1.0).await;
    let confirmed = gateway.metric(&of("key_set_timestamp_seconds", "")).await;
    let asked = gateway.metric(&refreshes("ok")).await;

    issuer.serve_with_a_strange_key(&key);
    gateway.until_metric(&keys("skipped"), 1.0).await;
    assert_eq!(gateway.metric(&keys("usable")).await, 1.0);
    gateway.until_above(&refreshes("ok"), asked).await;
    gateway.until_above(&of("key_set_timestamp_seconds", ""), confirmed).await;

    assert_eq!(get(&gateway, "/", &unknown.token(&issuer.url())).await.status, 401);
    assert_eq!(gateway.metric(&of("unknown_keys_total", "")).await, 1.0);

    assert_eq!(gateway.metric(&refreshes("failed")).await, 0.0);
    issuer.fall_silent();
    gateway.until_above(&refreshes("failed"), 2.0).await;
    assert_eq!(gateway.metric(&keys("usable")).await, 1.0);
}

#[test]
fn an_issuer_that_could_not_be_asked_is_a_mistake_in_the_file() {
    let problem = |issuer: &str| {
        let config = format!(
            "listener = [{{ address = '127.0.0.1:0' }}]\nissuer.a = {{ {issuer} }}\n
             upstream.u = {{ replica = [{{ name = 'u', url = 'http://127.0.0.1:1' }}] }}
             route = [{{ path = '/', upstream = 'u', jwt_auth = {{ issuers = ['a'] }} }}]"
        );
        plan(&config).unwrap_err()
    };

    for (issuer, expected) in [
        ("", "issuer.a: exactly one of `keys`, `jwks_url` and `discovery = true` is needed"),
        ("keys = [], discovery = true", "issuer.a: exactly one of"),
        (
            "jwks_url = 'https://id.example/', refresh = { lifetime = '0s' }",
            "2:71: issuer.a.refresh.lifetime: a duration above zero",
        ),
        (
            "jwks_url = 'https://id.example/', refresh = { liftime = '1h' }",
            "issuer.a.refresh.liftime: unknown key `liftime`; did you mean `lifetime`?",
        ),
        (
            "keys = [{ secret = 'a secret of the tests, 32 bytes!', algorithms = ['HS256'] }], refresh = {}",
            "2:106: issuer.a.refresh: keys that are given are not asked for",
        ),
        ("keys = [], ca_file = 'ca.pem'", "issuer.a: exactly one of"),
        ("discovery = true", "issuer.a.discovery: `discovery` needs `issuer`"),
        ("discovery = true, issuer = 'id'", "issuer.a.issuer: no URL that keys could come from"),
        (
            "jwks_url = 'http://id.example/'",
            "issuer.a.jwks_url: keys from \"http://id.example/\" need",
        ),
        (
            "jwks_url = 'https://id.example/', ca_file = 'none.pem'",
            "issuer.a.ca_file: cannot read none.pem",
        ),
    ] {
        let said = problem(issuer);
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
