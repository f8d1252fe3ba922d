//! Which certificate a client is shown, and which it must show.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_tests::{
    Connection, Identity, InProcess, Process, Recorded, Response, Upstream, plan,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// The whole configuration of a gateway with this TLS, whose route says `more`.
fn config(tls: &str, upstream: SocketAddr, more: &str) -> String {
    format!(
        "workers = 2
         admin = {{ address = '127.0.0.1:0' }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a', {more} }}]
         [[listener]]
         address = '127.0.0.1:0'
         tls = {{ {tls} }}"
    )
}

fn serving(tls: &str, upstream: &Upstream) -> InProcess {
    InProcess::start(&config(tls, upstream.address(), ""))
}

async fn connect(
    to: SocketAddr,
    client: impl Into<Arc<ClientConfig>>,
    name: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(client.into()).connect(name, socket).await
}

/// Asks over a connection that closes behind the answer; nothing, if there is none.
async fn ask(stream: TlsStream<TcpStream>, headers: &str) -> Option<Response> {
    let mut connection = Connection::over(stream);
    connection
        .write(format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n"))
        .await;
    let answer = connection.rest().await;
    (!answer.is_empty()).then(|| Response::parse(&answer))
}

/// Whether a server under this name has the certificate of `identity`.
async fn is_shown(identity: &Identity, to: SocketAddr, name: &'static str) -> bool {
    connect(to, identity.client(&[]), name).await.is_ok()
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let first = Identity::new(&["first.test", "other.test", "deep.a.wild.test"]);
    let second = Identity::new(&["second.test", "also.test"]);
    let wild = Identity::new(&["*.wild.test"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(
        &format!(
            "certificates = [{{ {} }}, {{ {}, hosts = ['second.test'] }}, {{ {} }}]",
            first.files(),
            second.files(),
            wild.files()
        ),
        &upstream,
    );

    for (identity, name, expected) in [
        (&first, "first.test", true),
        (&second, "second.test", true),
        (&second, "SECOND.test", true),
        (&wild, "a.wild.test", true),
        (&first, "other.test", true),
        (&first, "deep.a.wild.test", true), // a wildcard is for one label
        (&second, "also.test", false),      // `hosts` does not have it
        (&second, "first.test", false),
    ] {
        assert_eq!(is_shown(identity, gateway.address(), name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_would_believe_does_not_start() {
    let (one, other) = (Identity::new(&["a.test"]), Identity::new(&["b.test"]));
    let (certificate, key) = (one.certificate(), one.key());
    let (certificate, key) = (certificate.display(), key.display());
    for (tls, expected) in [
        (
            format!("certificates = [{{ {}, hosts = ['b.test'] }}]", one.files()),
            "is not for `b.test`",
        ),
        (
            format!("certificates = [{{ {}, hosts = ['*.a.test'] }}]", one.files()),
            "is not for `*.a.test`",
        ),
        (
            format!("certificate = '{certificate}', key = '{}'", other.key().display()),
            "cannot be used: ",
        ),
        (format!("certificate = '{certificate}'"), "`certificate` needs its `key`"),
        (format!("key = '{key}'"), "`key` needs its `certificate`"),
        (String::new(), "`certificate` and `key`, or `certificates`, are needed"),
        (
            format!("{0}, certificates = [{{ {0} }}]", one.files()),
            "either `certificate` and `key`, or `certificates`",
        ),
        (
            format!("{}, client_certificates = {{ ca_file = '{key}' }}", one.files()),
            "holds no certificate in PEM",
        ),
        (format!("{}, min_version = '1.1'", one.files()), "`1.2`, `1.3`"),
    ] {
        let complaint = plan(&config(&tls, ([127, 0, 0, 1], 1).into(), "")).unwrap_err();

        assert!(complaint.contains(" listener[0].tls"), "{complaint}");
        assert!(complaint.contains(expected), "{tls}: {complaint}");
    }
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_old_ones_go_on() {
    let (old, new) = (Identity::new(&["gateway.test"]), Identity::new(&["gateway.test"]));
    let (before, after) = (Identity::new(&["gateway.test"]), Identity::new(&["gateway.test"]));
    before.become_like(&old); // what clients trust stays as it was
    after.become_like(&new);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&format!("{}, reload_interval = '20ms'", before.files()), &upstream);
    let open = connect(gateway.address(), old.client(&[]), "gateway.test").await.unwrap();
    let mut open = Connection::over(open);
    open.write(REQUEST).await;
    assert_eq!(open.response().await.body, "ok");

    std::fs::write(before.certificate(), "no certificate").unwrap();
    gateway.until_metric("portcullis_tls_reloads_total{outcome=\"failed\"}", 1.0).await;
    assert!(is_shown(&old, gateway.address(), "gateway.test").await);

    before.become_like(&after);
    gateway.until_above("portcullis_tls_reloads_total{outcome=\"ok\"}", 0.0).await;
    assert!(is_shown(&new, gateway.address(), "gateway.test").await);
    assert!(!is_shown(&old, gateway.address(), "gateway.test").await);

    open.write(REQUEST).await;
    assert_eq!(open.response().await.body, "ok");
}

#[tokio::test]
async fn it_is_known_when_a_certificate_ends() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity.files(), &upstream);

    let file = identity.certificate();
    let series = "portcullis_tls_certificate_expiry_timestamp_seconds";
    let ends = gateway.metric(&format!("{series}{{file=\"{}\"}}", file.display())).await;

    assert_eq!(ends, 2_240_611_200.0); // 2041-01-01
}

#[tokio::test]
async fn a_version_below_the_oldest_is_not_spoken() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let old = || identity.client_of(&[], &[&version::TLS12], None);
    let strict = serving(&format!("{}, min_version = '1.3'", identity.files()), &upstream);
    let usual = serving(&identity.files(), &upstream);

    assert!(connect(strict.address(), old(), "gateway.test").await.is_err());
    assert!(connect(strict.address(), identity.client(&[]), "gateway.test").await.is_ok());
    assert!(connect(usual.address(), old(), "gateway.test").await.is_ok());
}

/// How the handshake of a connection went, over which a request was answered.
async fn kind(to: SocketAddr, client: &Arc<ClientConfig>) -> HandshakeKind {
    let mut stream = connect(to, client.clone(), "gateway.test").await.unwrap();
    {
        let mut connection = Connection::over(&mut stream);
        connection.write(REQUEST).await;
        assert_eq!(connection.response().await.body, "ok");
    }
    stream.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn a_client_that_comes_again_resumes_whichever_worker_it_meets() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity.files(), &upstream);

    for versions in [&[&version::TLS13], &[&version::TLS12]] {
        let client = Arc::new(identity.client_of(&[], versions, None));
        let first = kind(gateway.address(), &client).await;

        assert_ne!(first, HandshakeKind::Resumed);
        for _ in 0..6 {
            assert_eq!(kind(gateway.address(), &client).await, HandshakeKind::Resumed);
        }
    }
}

/// What a route tells its upstream of the client's certificate.
const RULES: &str = "header_inject = { request = [
    { set = 'x-subject', from = 'client_certificate:subject' },
    { set = 'x-names', from = 'client_certificate:names' },
    { set = 'x-fingerprint', from = 'client_certificate:fingerprint' },
] }";

const FORGED: &str = "x-subject: CN=root\r\nX-NAMES: URI:root\r\nx-fingerprint: 00\r\n";

fn asking(identity: &Identity, clients: &Identity, optional: bool, upstream: &Upstream) -> String {
    let ca_file = clients.certificate();
    let ca_file = ca_file.display();
    let ask = format!("client_certificates = {{ ca_file = '{ca_file}', optional = {optional} }}");
    config(&format!("{}, {ask}", identity.files()), upstream.address(), &RULES.replace('\n', ""))
}

fn told(request: &Recorded) -> [Vec<&str>; 3] {
    ["x-subject", "x-names", "x-fingerprint"].map(|name| request.header(name))
}

#[tokio::test]
async fn a_client_that_must_show_a_certificate_is_known_by_it_and_nobody_else_is_served() {
    let identity = Identity::new(&["gateway.test"]);
    let alice = Identity::called("alice, really", &["spiffe://example/alice", "alice.test"]);
    let mallory = Identity::called("alice, really", &["spiffe://example/alice", "alice.test"]);
    let mut upstream = Upstream::answering(OK).await;
    let gateway = InProcess::start(&asking(&identity, &alice, false, &upstream));
    let address = gateway.address();

    for versions in [&[&version::TLS13], &[&version::TLS12]] {
        let client = Arc::new(identity.client_of(&[], versions, Some(&alice)));
        for _ in 0..2 {
            // The second time it resumes, and shows nothing anew.
            let stream = connect(address, client.clone(), "gateway.test").await.unwrap();
            assert_eq!(ask(stream, FORGED).await.unwrap().status, 200);

            let request = upstream.seen().await;
            let [subject, names, fingerprint] = told(&request);
            assert_eq!(subject, [r"CN=alice\, really"]);
            assert_eq!(names, ["DNS:alice.test,URI:spiffe://example/alice"]);
            assert_eq!(fingerprint.len(), 1);
            assert_eq!(fingerprint[0].len(), 64);
        }
        for own in [None, Some(&mallory)] {
            let client = identity.client_of(&[], versions, own);
            if let Ok(stream) = connect(address, client, "gateway.test").await {
                assert!(ask(stream, FORGED).await.is_none());
            }
        }
    }
    assert!(upstream.saw_nothing());
    gateway.until_metric("portcullis_connection_errors_total{reason=\"tls_handshake\"}", 4.0).await;
}

#[tokio::test]
async fn a_client_that_may_show_a_certificate_is_nobody_without_one_and_a_bad_one_is_refused() {
    let identity = Identity::new(&["gateway.test"]);
    let (alice, mallory) = (Identity::called("alice", &[]), Identity::called("alice", &[]));
    let mut upstream = Upstream::answering(OK).await;
    let gateway = InProcess::start(&asking(&identity, &alice, true, &upstream));
    let address = gateway.address();
    let client = |own| identity.client_of(&[], rustls::ALL_VERSIONS, own);

    let stream = connect(address, client(None), "gateway.test").await.unwrap();
    assert_eq!(ask(stream, FORGED).await.unwrap().status, 200);
    assert_eq!(told(&upstream.seen().await), [const { Vec::<&str>::new() }; 3]);

    let stream = connect(address, client(Some(&alice)), "gateway.test").await.unwrap();
    assert_eq!(ask(stream, FORGED).await.unwrap().status, 200);
    assert_eq!(told(&upstream.seen().await)[0], ["CN=alice"]);

    if let Ok(stream) = connect(address, client(Some(&mallory)), "gateway.test").await {
        assert!(ask(stream, FORGED).await.is_none());
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn who_is_not_vouched_for_any_more_cannot_resume() {
    let identity = Identity::new(&["gateway.test"]);
    let (alice, bob) = (Identity::called("alice", &[]), Identity::called("bob", &[]));
    let clients = Identity::called("", &[]);
    clients.become_like(&alice);
    let upstream = Upstream::answering(OK).await;
    let config = asking(&identity, &clients, false, &upstream);
    let config = config.replace("tls = {", "tls = { reload_interval = '20ms',");
    let gateway = InProcess::start(&config);
    let client = Arc::new(identity.client_of(&[], &[&version::TLS13], Some(&alice)));
    kind(gateway.address(), &client).await;
    assert_eq!(kind(gateway.address(), &client).await, HandshakeKind::Resumed);

    std::fs::copy(bob.certificate(), clients.certificate()).unwrap();
    gateway.until_metric("portcullis_tls_reloads_total{outcome=\"ok\"}", 1.0).await;

    if let Ok(stream) = connect(gateway.address(), client, "gateway.test").await {
        assert!(ask(stream, "").await.is_none());
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_asks_for_is_no_source_of_a_header() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = ([127, 0, 0, 1], 1).into();
    let rule = |part: &str| {
        format!(
            "header_inject = {{ request = [{{ set = 'x-a', from = 'client_certificate:{part}' }}] }}"
        )
    };
    let ca_file = identity.certificate();
    let asks = format!(
        "{}, client_certificates = {{ ca_file = '{}' }}",
        identity.files(),
        ca_file.display()
    );

    let unasked = plan(&config(&identity.files(), upstream, &rule("subject"))).unwrap_err();
    let unknown = plan(&config(&asks, upstream, &rule("issuer"))).unwrap_err();

    assert!(unasked.contains("no listener asks for certificates"), "{unasked}");
    assert!(
        unknown.contains("a certificate has `subject`, `names` and `fingerprint`"),
        "{unknown}"
    );
}

#[tokio::test]
async fn the_log_says_whose_certificate_it_was() {
    let identity = Identity::new(&["gateway.test"]);
    let alice = Identity::called("alice", &[]);
    let upstream = Upstream::answering(OK).await;
    let config = asking(&identity, &alice, false, &upstream);
    let (mut process, address, _) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;

    let client = identity.client_of(&[], rustls::ALL_VERSIONS, Some(&alice));
    let stream = connect(address, client, "gateway.test").await.unwrap();
    assert_eq!(ask(stream, "").await.unwrap().status, 200);

    let line = process.line(|line| line.contains("\"target\":\"access\"")).await;
    assert!(line.contains("\"client_certificate\":\"CN=alice\""), "{line}");
}
