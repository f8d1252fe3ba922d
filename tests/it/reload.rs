//! A new configuration in place of the old one, while requests go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis::reload::NotReloaded;
use portcullis_tests::{
    Connection, Identity, InProcess, Process, Upstream, ask, choose_backend, exchange, get,
    in_an_hour, read_request,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// A file that a gateway reads.
pub(crate) struct File(TempDir);

impl File {
    pub(crate) fn new(config: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(config);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gateway.toml")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes all but the listeners.
    pub(crate) fn write(&self, config: &str) {
        fs::write(self.path(), format!("{LISTENERS}{config}")).unwrap();
    }

    pub(crate) fn gateway(&self) -> InProcess {
        InProcess::reading(&self.path())
    }
}

const LISTENERS: &str = "workers = 2
    listener = [{ address = '127.0.0.1:0' }]
    admin = { address = '127.0.0.1:0', probe_interval = '1h' }\n";

/// All that comes to `path` goes to `upstream`.
fn route(path: &str, name: &str, upstream: &Upstream) -> String {
    format!(
        "[upstream.{name}]
         replica = [{{ name = 'r', url = 'http://{}' }}]
         [[route]]
         path = '{path}'
         upstream = '{name}'\n",
        upstream.address()
    )
}

async fn saying(word: &str) -> Upstream {
    let length = word.len();
    Upstream::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{word}")).await
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// An upstream whose answers end when the test says so.
async fn slow() -> (Upstream, mpsc::Sender<()>) {
    let (end, ends) = mpsc::channel(1);
    let ends = std::sync::Arc::new(tokio::sync::Mutex::new(ends));
    let upstream = Upstream::serving(move |mut socket, seen| {
        let ends = ends.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nfirs").await.ok();
                ends.lock().await.recv().await;
                socket.write_all(b"last").await.ok();
            }
        }
    })
    .await;
    (upstream, end)
}

#[tokio::test]
async fn what_is_in_flight_ends_by_the_old_one_and_the_next_request_of_its_connection_meets_the_new()
 {
    let (old, end) = slow().await;
    let new = saying("new").await;
    let file = File::new(&route("/", "old", &old));
    let gateway = file.gateway();
    let mut busy = Connection::open(gateway.address()).await;
    busy.write(GET).await;
    let head = busy.head().await;
    assert_eq!((head.status, busy.take(4).await), (200, b"firs".to_vec()));

    file.write(&route("/", "new", &new));
    assert_eq!(gateway.inner().reload().await.unwrap(), 2);
    end.send(()).await.unwrap();
    assert_eq!(busy.take(4).await, b"last");
    busy.write(GET).await;

    assert_eq!(busy.response().await.body, "new");
}

#[tokio::test]
async fn every_worker_has_taken_it_when_it_is_answered() {
    let (old, new) = (saying("old").await, saying("new").await);
    let file = File::new(&route("/", "a", &old));
    let gateway = file.gateway();
    // As many that both workers have some.
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = Connection::open(gateway.address()).await;
        client.write(GET).await;
        assert_eq!(client.response().await.body, "old");
        clients.push(client);
    }

    file.write(&route("/", "a", &new));
    gateway.inner().reload().await.unwrap();

    for client in &mut clients {
        client.write(GET).await;
        assert_eq!(client.response().await.body, "new");
    }
}

#[tokio::test]
async fn a_file_that_is_wrong_changes_nothing_and_its_place_is_told_everywhere() {
    let upstream = saying("old").await;
    let file = File::new(&route("/", "a", &upstream));
    let gateway = file.gateway();

    file.write(&route("/", "a", &upstream).replace("upstream = 'a'", "upstream = 'b'"));
    let Err(NotReloaded::Rejected(found)) = gateway.inner().reload().await else {
        panic!("it was taken")
    };

    let expected = "gateway.toml:8:21: route[0].upstream: there is no section `[upstream.b]`";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    assert_eq!(get(gateway.address(), "/").await.body, "old");
    let ready: Value = serde_json::from_str(&get(gateway.admin(), "/readyz").await.body).unwrap();
    assert_eq!(ready["config"]["generation"], 1);
    assert_eq!(ready["config"]["last_read_ok"], false);
    assert_eq!(ready["config"]["problems"][0], json!(found[0]));
    assert_eq!(gateway.metric("portcullis_config_generation").await, 1.0);
    assert_eq!(gateway.metric("portcullis_config_last_reload_success").await, 0.0);
    assert_eq!(gateway.metric("portcullis_reloads_total{outcome=\"rejected\"}").await, 1.0);

    file.write(&route("/", "a", &upstream));
    gateway.inner().reload().await.unwrap();

    let ready: Value = serde_json::from_str(&get(gateway.admin(), "/readyz").await.body).unwrap();
    assert_eq!(ready["config"]["generation"], 2);
    assert_eq!(
        (&ready["config"]["last_read_ok"], ready["config"].get("problems")),
        (&json!(true), None)
    );
    assert_eq!(gateway.metric("portcullis_config_last_reload_success").await, 1.0);
    assert_eq!(gateway.metric("portcullis_reloads_total{outcome=\"applied\"}").await, 1.0);
    assert!(gateway.metric("portcullis_config_last_reload_timestamp_seconds").await > 1.7e9);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_its_name_and_all_else_with_it() {
    let (old, new) = (saying("old").await, saying("new").await);
    let file = File::new(&route("/", "a", &old));
    let gateway = file.gateway();

    let config = format!("drain = {{ deadline = '7s' }}\n{LISTENERS}{}", route("/", "a", &new));
    fs::write(file.path(), config.replace("workers = 2", "workers = 3")).unwrap();
    let error = gateway.inner().reload().await.unwrap_err().to_string();

    for key in ["workers", "drain"] {
        let line = format!("gateway.toml: {key}: cannot change while the gateway runs");
        assert!(error.contains(&line), "{error}");
    }
    assert_eq!(get(gateway.address(), "/").await.body, "old");
}

#[tokio::test]
async fn an_unchanged_upstream_keeps_its_connections_and_a_changed_one_does_not() {
    let (kept, changed) = (saying("kept").await, saying("changed").await);
    let config = |pool: &str| {
        let changed = route("/changed", "changed", &changed);
        let pool = format!("[upstream.changed]\npool = {{ max_idle = {pool} }}");
        format!("{}{}", route("/kept", "kept", &kept), changed.replace("[upstream.changed]", &pool))
    };
    let file = File::new(&config("1"));
    fs::write(
        file.path(),
        fs::read_to_string(file.path()).unwrap().replace("workers = 2", "workers = 1"),
    )
    .unwrap();
    let gateway = file.gateway();
    for path in ["/kept", "/changed"] {
        assert_eq!(get(gateway.address(), path).await.status, 200);
    }

    let second = format!("{LISTENERS}{}", config("2")).replace("workers = 2", "workers = 1");
    fs::write(file.path(), second).unwrap();
    gateway.inner().reload().await.unwrap();
    for path in ["/kept", "/changed"] {
        assert_eq!(get(gateway.address(), path).await.status, 200);
    }

    let opened = |upstream: &str| {
        format!("portcullis_upstream_connections_total{{upstream=\"{upstream}\",replica=\"r\"}}")
    };
    assert_eq!(gateway.metric(&opened("kept")).await, 1.0);
    assert_eq!(gateway.metric(&opened("changed")).await, 2.0, "and what was counted goes on");
}

#[tokio::test]
async fn a_circuit_stays_open_until_its_own_section_is_another() {
    let broken = Upstream::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let well = saying("well").await;
    let config = |first: &str, rest: &str| {
        let [a, b] = [&broken, &well].map(Upstream::address);
        format!(
            "[upstream.u]
             replica = [{{ name = 'a', url = 'http://{a}' }}, {{ name = 'b', url = 'http://{b}', priority = 2 }}]
             circuit_breaker = {{ consecutive_failures = 1, open = {{ first = '{first}', longest = '2h' }} }}
             [[route]]
             path = '/'
             upstream = 'u'\n{rest}"
        )
    };
    let file = File::new(&config("1h", ""));
    let gateway = file.gateway();
    assert!([200, 500].contains(&get(gateway.address(), "/").await.status));
    let state = "circuit_breaker_state{name=\"u/a\"}";
    gateway.until_metric(state, 1.0).await;

    file.write(&config("1h", &route("/more", "more", &well)));
    gateway.inner().reload().await.unwrap();
    assert_eq!(gateway.metric(state).await, 1.0);
    assert_eq!(get(gateway.address(), "/").await.body, "well");

    file.write(
        &config("1h", "timeout = '9s'")
            .replace("[[route]]", "timeouts = { connect = '4s' }\n[[route]]"),
    );
    gateway.inner().reload().await.unwrap();
    assert_eq!(gateway.metric(state).await, 1.0, "the same circuit at another service");

    file.write(&config("2h", ""));
    gateway.inner().reload().await.unwrap();
    assert_eq!(gateway.metric(state).await, 0.0);
}

#[tokio::test]
async fn the_gauges_of_a_replica_that_is_gone_are_gone_and_what_was_counted_stays() {
    let upstream = saying("old").await;
    let file = File::new(&route("/", "old", &upstream));
    let gateway = file.gateway();
    get(gateway.address(), "/").await;
    gateway.until_metric("portcullis_replica_up{upstream=\"old\",replica=\"r\"}", 1.0).await;

    file.write(&route("/", "new", &upstream));
    gateway.inner().reload().await.unwrap();

    let scrape = get(gateway.admin(), "/metrics").await.body;
    assert!(!scrape.contains("circuit_breaker_state{name=\"old/r\"}"), "{scrape}");
    assert!(!scrape.contains("portcullis_replica_up{upstream=\"old\""), "{scrape}");
    assert!(scrape.contains("circuit_breaker_state{name=\"new/r\"} 7"), "{scrape}");
    let counted = "portcullis_upstream_connections_total{upstream=\"old\",replica=\"r\"} 1";
    assert!(scrape.contains(counted), "{scrape}");
}

/// A route for tokens that are signed with a secret in a file.
fn with_tokens(file: &File, upstream: &Upstream, grace: &str) -> String {
    format!(
        "reload = {{ grace = '{grace}' }}
         issuer.i = {{ keys = [{{ secret = 'file:{}', algorithms = ['HS256'] }}] }}\n{}jwt_auth = {{ issuers = ['i'] }}\n",
        file.beside("secret").display(),
        route("/", "a", upstream)
    )
}

async fn with_token(gateway: &InProcess, secret: &str) -> u16 {
    choose_backend();
    let claims = json!({ "sub": "alice", "exp": in_an_hour() });
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let header = format!("authorization: Bearer {token}");
    ask(gateway.address(), "GET /", &[&header]).await.status
}

const OLD: &str = "the-old-secret-of-the-issuer-0123456";
const NEW: &str = "the-new-secret-of-the-issuer-0123456";

#[tokio::test]
async fn a_key_that_is_replaced_in_its_own_file_is_accepted_for_the_grace_and_removed_at_once_without()
 {
    let upstream = saying("well").await;
    let file = File::new("");
    fs::write(file.beside("secret"), OLD).unwrap();
    file.write(&with_tokens(&file, &upstream, "1h"));
    let gateway = file.gateway();
    assert_eq!((with_token(&gateway, OLD).await, with_token(&gateway, NEW).await), (200, 401));

    fs::write(file.beside("secret"), NEW).unwrap();
    gateway.inner().reload().await.unwrap();
    assert_eq!((with_token(&gateway, OLD).await, with_token(&gateway, NEW).await), (200, 200));

    gateway.inner().reload().await.unwrap();
    assert_eq!(with_token(&gateway, OLD).await, 200, "the grace goes on");

    file.write(&with_tokens(&file, &upstream, "0s"));
    gateway.inner().reload().await.unwrap();
    assert_eq!((with_token(&gateway, OLD).await, with_token(&gateway, NEW).await), (401, 200));
}

#[tokio::test]
async fn a_certificate_is_read_again() {
    let upstream = saying("well").await;
    let (old, new) = (Identity::new(&["localhost"]), Identity::new(&["localhost"]));
    let file = File::new("");
    let copy = |identity: &Identity| {
        fs::copy(identity.certificate(), file.beside("cert.pem")).unwrap();
        fs::copy(identity.key(), file.beside("key.pem")).unwrap();
    };
    copy(&old);
    let config = format!("{LISTENERS}{}", route("/", "a", &upstream));
    let tls = "0' , tls = { certificate = 'cert.pem', key = 'key.pem' } }]";
    fs::write(file.path(), config.replacen("0' }]", tls, 1)).unwrap();
    let gateway = file.gateway();
    let mut before = Connection::over(over_tls(&gateway, &old).await.unwrap());

    copy(&new);
    gateway.inner().reload().await.unwrap();

    assert!(over_tls(&gateway, &old).await.is_err());
    assert!(over_tls(&gateway, &new).await.is_ok());
    before.write(GET).await;
    assert_eq!(before.response().await.body, "well", "who is connected stays so");
}

async fn over_tls(
    gateway: &InProcess,
    identity: &Identity,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let socket = TcpStream::connect(gateway.address()).await?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(identity.client(&[])));
    connector.connect("localhost".try_into().unwrap(), socket).await
}

#[tokio::test]
async fn a_link_that_leads_to_other_files_is_noticed_if_that_is_asked_for() {
    let (old, new) = (saying("old").await, saying("new").await);
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for (version, upstream) in [("1", &old), ("2", &new)] {
        fs::create_dir(at(version)).unwrap();
        let watch = "reload = { watch = true, watch_interval = '10ms' }\n";
        let config = format!("{watch}{LISTENERS}{}", route("/", "a", upstream));
        fs::write(at(version).join("gateway.toml"), config).unwrap();
    }
    // As Kubernetes does: the file is a link into a folder that is a link, which another replaces.
    std::os::unix::fs::symlink("1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/gateway.toml", at("gateway.toml")).unwrap();
    let gateway = InProcess::reading(&at("gateway.toml"));
    assert_eq!(get(gateway.address(), "/").await.body, "old");

    std::os::unix::fs::symlink("2", at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();
    gateway.until_metric("portcullis_config_generation", 2.0).await;

    assert_eq!(get(gateway.address(), "/").await.body, "new");
}

fn post(headers: &str) -> String {
    format!(
        "POST /reload HTTP/1.1\r\nhost: a\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn operators_ask_for_it_on_the_admin_listener_and_web_pages_cannot() {
    let upstream = saying("old").await;
    let file = File::new(&route("/", "a", &upstream));
    let gateway = file.gateway();

    let applied = exchange(gateway.admin(), post("")).await;
    assert_eq!(
        (applied.status, applied.body.as_str()),
        (200, r#"{"outcome":"applied","generation":2}"#)
    );
    fs::write(file.path(), "workers = 'many'").unwrap();
    let rejected = exchange(gateway.admin(), post("")).await;
    assert_eq!(rejected.status, 422);
    assert!(rejected.body.starts_with(r#"{"outcome":"rejected","generation":2,"problems":[""#));
    assert!(rejected.body.contains("gateway.toml:1:11: workers"), "{}", rejected.body);

    assert_eq!(get(gateway.admin(), "/reload").await.status, 405);
    let page = exchange(gateway.admin(), post("origin: http://evil.example\r\n")).await;
    assert_eq!(page.status, 403);
    assert!(page.header("access-control-allow-origin").is_empty());
    assert_eq!(gateway.metric("portcullis_reloads_total{outcome=\"rejected\"}").await, 1.0);
}

#[tokio::test]
async fn where_there_is_a_token_operators_show_it_and_it_can_be_replaced() {
    let upstream = saying("old").await;
    let file = File::new("");
    let config = |token: &str| {
        format!("{LISTENERS}{}", route("/", "a", &upstream))
            .replace("'1h'", &format!("'1h', token = '{token}'"))
    };
    fs::write(file.path(), config("one")).unwrap();
    let gateway = file.gateway();
    let status = async |headers: &str| exchange(gateway.admin(), post(headers)).await.status;

    assert_eq!(status("").await, 401);
    assert_eq!(status("authorization: Bearer two\r\n").await, 401);
    fs::write(file.path(), config("two")).unwrap();
    assert_eq!(status("authorization: Bearer one\r\n").await, 200);
    assert_eq!(status("authorization: Bearer one\r\n").await, 401);
    assert_eq!(status("authorization: Bearer two\r\n").await, 200);
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_read_again() {
    let upstream = saying("old").await;
    let gateway = InProcess::start(&format!("{LISTENERS}{}", route("/", "a", &upstream)));

    assert!(matches!(gateway.inner().reload().await, Err(NotReloaded::NoFile)));
    let answer = exchange(gateway.admin(), post("")).await;
    assert_eq!(answer.status, 409);
}

#[tokio::test]
async fn sighup_reads_the_file_again() {
    let (old, new) = (saying("old").await, saying("new").await);
    let file = File::new(&route("/", "a", &old));
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    assert_eq!(get(gateway, "/").await.body, "old");

    file.write(&route("/", "a", &new));
    process.signal("HUP").await;
    process.line(|line| line.contains("serving by a new configuration")).await;

    assert_eq!(get(gateway, "/").await.body, "new");
}

#[tokio::test]
async fn a_thousand_reloads_leave_nothing_behind() {
    let upstreams = [saying("old").await, saying("new").await];
    let config = |round: usize| {
        let secret = format!("the-secret-of-the-issuer-{:08}", round % 2);
        format!(
            "log = {{ level = 'off,portcullis::gateway=info' }}
             issuer.i = {{ keys = [{{ secret = '{secret}', algorithms = ['HS256'] }}] }}
             issuer.asked = {{ jwks_url = 'http://127.0.0.1:9/{}' }}\n{}
             [[route]]
             path = '/kept'
             upstream = 'a'
             jwt_auth = {{ issuers = ['i'] }}
             [[route]]
             path = '/asked'
             upstream = 'a'
             jwt_auth = {{ issuers = ['asked'] }}",
            round % 2,
            route("/", "a", &upstreams[round % 2])
        )
    };
    let file = File::new(&config(0));
    // Nobody reads its log later on: no more may be written than a pipe holds.
    let (process, gateway, admin) = Process::run(GATEWAY, &file.path()).await;
    let admin = admin.unwrap();
    let mut settled = None;

    for round in 1..=1000 {
        file.write(&config(round));
        let answer = exchange(admin, post("")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        if round % 10 == 0 {
            let expected = ["old", "new"][round % 2];
            assert_eq!(get(gateway, "/").await.body, expected);
        }
        if round == 200 {
            settled = Some(Footprint::of(process.id()));
        }
    }

    let (before, after) = (settled.unwrap(), Footprint::of(process.id()));
    assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
    assert!(after.descriptors <= before.descriptors + 8, "{before:?} {after:?}");
    // 800 plans of some 300 kB each would not go unnoticed.
    assert!(after.kilobytes < before.kilobytes + 24 * 1024, "{before:?} {after:?}");
}

/// What a process takes of the system.
#[derive(Debug)]
struct Footprint {
    threads: usize,
    descriptors: usize,
    kilobytes: u64,
}

impl Footprint {
    fn of(id: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{id}/{what}")).unwrap().count();
        let status = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes = line.trim().trim_end_matches(" kB").parse().unwrap();
        Self { threads: count("task"), descriptors: count("fd"), kilobytes }
    }
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_configuration() {
    let (old, end) = slow().await;
    let file = File::new(&route("/", "a", &old));
    let gateway = file.gateway();
    let mut busy = Connection::open(gateway.address()).await;
    busy.write(GET).await;
    busy.head().await;

    gateway.stop();
    let mut phase = gateway.inner().drain().subscribe();
    let draining = phase.wait_for(|phase| *phase as u8 > 0);
    tokio::time::timeout(Duration::from_secs(60), draining).await.unwrap().unwrap();
    let answer = gateway.inner().reload().await;

    assert!(matches!(answer, Err(NotReloaded::NotRunning("draining"))), "{answer:?}");
    end.send(()).await.unwrap();
}
