//! What clients can connect to: addresses, paths, and sockets that were there before.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis::gateway::Gateway;
use portcullis_tests::{Connection, InProcess, Process, Upstream, get, plan};
use tokio::net::UnixStream;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const REQUEST: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

fn config(listener: &str, upstream: &Upstream) -> String {
    format!(
        "workers = 2
         listener = [{{ {listener} }}]
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    )
}

/// Whether somebody answers at a path.
async fn answers(path: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(path).await else { return false };
    let mut connection = Connection::over(stream);
    connection.write(REQUEST).await;
    connection.response().await.body == "ok"
}

#[tokio::test]
async fn a_listener_may_have_several_addresses() {
    let upstream = Upstream::answering(OK).await;
    let gateway =
        InProcess::start(&config("address = ['127.0.0.1:0', '127.0.0.2:0', '[::1]:0']", &upstream));

    let addresses = gateway.inner().addresses().to_vec();

    assert_eq!(addresses.len(), 3);
    for address in addresses {
        assert_eq!(get(address, "/").await.body, "ok", "{address}");
    }
}

#[tokio::test]
async fn an_address_is_one_of_those_that_there_are() {
    let upstream = Upstream::answering(OK).await;
    for (listener, expected) in [
        ("address = []", "listener[0].address: at least one address is needed"),
        ("address = ['127.0.0.1:0', 'here']", "listener[0].address[1]: an address with its port"),
        ("address = 'unix:'", "listener[0].address: an address with its port"),
        ("address = 1", "listener[0].address: "),
        (
            "address = ['unix:a.sock', 'unix:a.sock']",
            "listener[0].address: unix:a.sock is taken by another listener",
        ),
        (
            "address = '127.0.0.1:0', socket_mode = '0600'",
            "listener[0].socket_mode: no address of this listener is a path",
        ),
        (
            "address = 'unix:a.sock', socket_mode = '0999'",
            "listener[0].socket_mode: permissions in octal, like \"0660\"",
        ),
        (
            "address = '127.0.0.1:0', proxy_protocol = { from = [] }",
            "listener[0].proxy_protocol.from: at least one network is needed",
        ),
        (
            "address = '127.0.0.1:0', proxy_protocol = { from = ['10.0.0.0/33'] }",
            "listener[0].proxy_protocol.from[0]: \"10.0.0.0/33\" is no network like",
        ),
        ("address = '127.0.0.1:0', limits = { streams = 0 }", "listener[0].limits.streams: "),
    ] {
        let complaint = plan(&config(listener, &upstream)).unwrap_err();

        assert!(complaint.contains(expected), "{listener}: {complaint}");
    }
}

#[tokio::test]
async fn a_path_is_served_and_who_comes_that_way_has_no_address() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let listener =
        format!("address = ['unix:{}', '127.0.0.1:0'], socket_mode = '0600'", path.display());
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config(&listener, &upstream)).unwrap();
    let mut process = Process::start(GATEWAY, &["run", "--config", file.to_str().unwrap()]);
    let listening = process.line(|line| line.contains("\"listening\"")).await;
    process.line(|line| line.contains("\"serving\"")).await;

    assert!(listening.contains(&format!("unix:{}", path.display())), "{listening}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for _ in 0..4 {
        assert!(answers(&path).await);
    }
    let line = process.line(|line| line.contains("\"target\":\"access\"")).await;
    assert!(line.contains("\"path\":\"/a\"") && !line.contains("\"client\""), "{line}");

    process.signal("TERM").await;
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn a_second_instance_does_not_take_the_path_and_one_after_it_does() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let config = config(&format!("address = 'unix:{}'", path.display()), &upstream);
    let mut first = InProcess::start(&config);

    let error = Gateway::start(plan(&config).unwrap()).unwrap_err();
    assert!(error.to_string().contains("gateway.sock"), "{error}");
    assert!(answers(&path).await);

    first.stop();
    first.stopped().await;
    assert!(path.exists() && !answers(&path).await);
    let _second = InProcess::start(&config);
    assert!(answers(&path).await);
}

#[tokio::test]
async fn a_socket_that_was_there_before_is_served_by_its_name() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let by_address = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = by_address.local_addr().unwrap();
    let by_path = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // Who connects before there is a gateway is served by it.
    let mut early = Connection::open(address).await;
    early.write(REQUEST).await;
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config("address = 'systemd:web'", &upstream)).unwrap();
    let arguments = ["run", "--config", file.to_str().unwrap()];

    let mut process = Process::inheriting(GATEWAY, &arguments, "web", OwnedFd::from(by_address));
    process.line(|line| line.contains("\"serving\"")).await;
    let mut other = Process::inheriting(GATEWAY, &arguments, "web", OwnedFd::from(by_path));
    other.line(|line| line.contains("\"serving\"")).await;

    assert_eq!(early.response().await.body, "ok");
    for _ in 0..4 {
        assert_eq!(get(address, "/").await.body, "ok");
        assert!(answers(&path).await);
    }
}

#[tokio::test]
async fn a_socket_that_nobody_handed_over_is_an_error_that_names_it() {
    let upstream = Upstream::answering(OK).await;

    let plan = plan(&config("address = 'systemd:web'", &upstream)).unwrap();
    let error = Gateway::start(plan).unwrap_err();

    let expected = "cannot listen on systemd:web: the process was not started with a socket of this name \
        (LISTEN_FDNAMES)";
    assert_eq!(error.to_string(), expected);
}
