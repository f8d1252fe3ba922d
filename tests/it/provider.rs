//! The gateway and a certified `OpenID` provider, which rotates its keys, goes away, and is asked for keys that nobody has.
//! `tests/run` installs it; without it these tests fail.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis_tests::{
    Connection, Flow, InProcess, Upstream, ask, choose_backend, gateway, in_an_hour,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::peers::installed;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A certified `OpenID` provider, with a token by a key of each kind. It ends with this.
struct Provider {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    issuer: String,
    tokens: Tokens,
}

/// By their algorithm.
type Tokens = BTreeMap<String, String>;

impl Provider {
    async fn start(port: &str) -> Self {
        let script = installed("node/issuer.mjs");
        assert!(script.exists(), "oidc-provider is not here: `tests/run` installs it");
        let mut command = Command::new("node");
        command.arg(script).arg(port).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("node, which `tests/run` needs");
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (issuer, tokens) = (String::new(), Tokens::new());
        let mut provider = Self { child, orders, lines, issuer, tokens };
        let line = provider.line("ISSUER ").await;
        provider.issuer = line;
        provider.ready().await;
        provider
    }

    /// The rest of the next line that begins like this. It has notices of its own, which are passed over.
    async fn line(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap().expect("a provider that runs");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Reads the tokens by its newest keys.
    async fn ready(&mut self) {
        self.tokens.clear();
        while self.tokens.len() < 5 {
            let line = self.line("TOKEN ").await;
            let (algorithm, token) = line.split_once(' ').unwrap();
            self.tokens.insert(algorithm.to_owned(), token.to_owned());
        }
    }

    async fn order(&mut self, order: &str) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
    }

    /// Has it sign with new keys, and publish the old ones, too.
    async fn rotate(&mut self) {
        self.order("ROTATE").await;
        self.ready().await;
    }

    /// How often it was asked for its keys.
    async fn asked(&mut self) -> u64 {
        self.order("COUNT").await;
        self.line("ASKED ").await.parse().unwrap()
    }

    fn port(&self) -> &str {
        self.issuer.rsplit(':').next().unwrap()
    }

    /// A gateway that asks for its tokens, and for its keys by this policy.
    fn gateway(&self, upstream: &Upstream, refresh: &str) -> InProcess {
        gateway(&format!(
            "issuer.real = {{ issuer = '{}', audience = ['photos'], discovery = true, refresh = {{ {refresh} }} }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a', jwt_auth = {{ issuers = ['real'], typ = 'access_token', scopes = ['read'] }} }}]",
            self.issuer,
            upstream.address()
        ))
    }
}

/// The status for each token.
async fn statuses(gateway: &InProcess, tokens: &Tokens) -> Vec<u16> {
    let mut statuses = Vec::new();
    for token in tokens.values() {
        let bearer = format!("authorization: Bearer {token}");
        statuses.push(ask(gateway.address(), "GET /", &[&bearer]).await.status);
    }
    statuses
}

/// 200 requests in a second with these tokens, to which more may come, in turn.
fn flow(gateway: &InProcess, tokens: &Arc<Mutex<Vec<String>>>) -> Flow {
    let tokens = tokens.clone();
    let mut turn = 0;
    Flow::start(gateway.address(), 200, move || {
        let tokens = tokens.lock().unwrap();
        turn += 1;
        let token = &tokens[turn % tokens.len()];
        format!(
            "GET / HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\n\r\n"
        )
    })
}

#[tokio::test]
async fn tokens_of_a_real_provider_pass_through_a_rotation_and_its_absence() {
    let upstream = Upstream::answering(OK).await;
    let mut provider = Provider::start("0").await;
    let gateway = provider.gateway(&upstream, "");
    assert_eq!(statuses(&gateway, &provider.tokens).await, [200; 5]);

    provider.child.kill().await.unwrap();
    assert_eq!(statuses(&gateway, &provider.tokens).await, [200; 5], "while it is away");

    let rotated = Provider::start(provider.port()).await;
    assert_eq!(statuses(&gateway, &rotated.tokens).await, [200; 5], "by new keys");
    assert_eq!(statuses(&gateway, &provider.tokens).await, [401; 5], "by withdrawn keys");
}

#[tokio::test]
async fn a_rotation_under_way_of_200_requests_in_a_second_refuses_none() {
    let upstream = Upstream::answering(OK).await;
    let mut provider = Provider::start("0").await;
    let gateway = provider.gateway(&upstream, "");
    let tokens = Arc::new(Mutex::new(provider.tokens.values().cloned().collect::<Vec<_>>()));
    let mut flow = flow(&gateway, &tokens);
    flow.answered(300).await;

    provider.rotate().await;
    tokens.lock().unwrap().extend(provider.tokens.values().cloned());
    flow.answered(900).await;

    let statuses = flow.end().await;
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&200], "{statuses:?}");
    assert_eq!(provider.asked().await, 2, "at first, and for the first token by a new key");
}

// The layer's own tests have an issuer away for a day, by a clock that is told to pass. Here the keys live for two seconds,
// and the outage is five times as long, with attempts to end it all the while.
#[tokio::test]
async fn an_outage_of_many_lifetimes_of_the_keys_refuses_no_valid_token() {
    let upstream = Upstream::answering(OK).await;
    let mut provider = Provider::start("0").await;
    let often = "shortest_lifetime = '2s', longest_lifetime = '2s', first_backoff = '100ms', \
                 longest_backoff = '300ms'";
    let gateway = provider.gateway(&upstream, often);
    let tokens = Arc::new(Mutex::new(provider.tokens.values().cloned().collect()));
    let mut flow = flow(&gateway, &tokens);
    flow.answered(200).await;

    provider.child.kill().await.unwrap();
    let failed = format!(
        "jwt_auth_key_set_refreshes_total{{issuer=\"{}\",outcome=\"failed\"}}",
        provider.issuer
    );
    let before = gateway.metric(&failed).await;
    flow.answered(2000).await;
    let failures = gateway.metric(&failed).await - before;

    let statuses = flow.end().await;
    assert!(failures >= 10.0, "{failures}");
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&200], "{statuses:?}");
}

/// Tokens of the issuer as far as anybody can tell without its keys.
fn of_unknown_keys(issuer: &str, count: usize) -> Vec<String> {
    choose_backend();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let claims = json!({ "sub": "mallory", "iss": issuer, "aud": "photos", "exp": in_an_hour(), "scope": "read" });
    let (random, typ) = (RandomState::new(), Some("at+jwt".to_owned()));
    let token = |index| {
        let kid = Some(format!("{:016x}", random.hash_one(index)));
        let header = Header { kid, typ: typ.clone(), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &key).unwrap()
    };
    (0..count).map(token).collect()
}

#[tokio::test]
async fn of_10_000_random_kids_one_in_an_interval_is_asked_about() {
    let upstream = Upstream::answering(OK).await;
    let mut provider = Provider::start("0").await;
    let gateway = provider.gateway(&upstream, "unknown_kid_interval = '1s'");
    let tokens = Arc::new(Mutex::new(provider.tokens.values().cloned().collect()));
    let mut flow = flow(&gateway, &tokens);
    flow.answered(10).await;
    let forged = of_unknown_keys(&provider.issuer, 10_000);

    let start = Instant::now();
    let mut clients = JoinSet::new();
    for share in forged.chunks(1000) {
        let (to, share) = (gateway.address(), share.to_vec());
        clients.spawn(async move {
            let mut connection = Connection::open(to).await;
            let mut statuses = BTreeMap::<u16, usize>::new();
            for token in share {
                let bearer = format!("authorization: Bearer {token}");
                connection.write(format!("GET / HTTP/1.1\r\nhost: a\r\n{bearer}\r\n\r\n")).await;
                *statuses.entry(connection.response().await.status).or_default() += 1;
            }
            statuses
        });
    }
    let refused = clients.join_all().await;
    let intervals = start.elapsed().as_secs() + 1; // of a second each

    assert_eq!(refused, vec![BTreeMap::from([(401, 1000)]); 10]);
    let statuses = flow.end().await;
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&200], "{statuses:?}");
    let asked = provider.asked().await - 1; // at first
    assert!(asked >= 1 && asked <= intervals, "{asked} times in {intervals} intervals");
}
