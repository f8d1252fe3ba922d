//! Proxies that say whom they speak for, and others that would like to.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_tests::{
    Connection, Identity, InProcess, Process, Response, Upstream, read_to_end, send,
};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n").into_bytes()
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn config(listener: &str, upstream: SocketAddr) -> String {
    format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', {listener} }}]
         admin = {{ address = '127.0.0.1:0' }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    )
}

const TRUSTING: &str = "proxy_protocol = { from = ['127.0.0.0/8'] }";

fn errors(reason: &str) -> String {
    format!("portcullis_connection_errors_total{{reason=\"{reason}\"}}")
}

async fn status(to: SocketAddr, header: &[u8]) -> u16 {
    Response::parse(&send(to, [header, REQUEST.as_bytes()].concat()).await).status
}

#[tokio::test]
async fn the_client_is_who_the_proxy_says() {
    let upstream = Upstream::answering(OK).await;
    let (mut process, address, _) =
        Process::serve(env!("CARGO_BIN_EXE_gateway"), &config(TRUSTING, upstream.address())).await;
    let mut v6 = vec![0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v6[32..34].copy_from_slice(&4711_u16.to_be_bytes());
    v6.extend([0x02, 0, 4]); // and a name of a server
    v6.extend(b"name");

    for (header, expected) in [
        (v1("192.0.2.7"), "\"192.0.2.7\",\"client_port\":4711"),
        (v2(0x21, 0x21, &v6), "\"2001:db8::\",\"client_port\":4711"),
        (v2(0x20, 0x00, &[]), "\"127.0.0.1\""), // the proxy for itself
        (b"PROXY UNKNOWN\r\n".to_vec(), "\"127.0.0.1\""),
    ] {
        assert_eq!(status(address, &header).await, 200, "{expected}");
        let client = format!("\"client\":{expected}");
        process.line(|line| line.contains("\"access\"") && line.contains(&client)).await;
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_say_it_is_refused_and_counted() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = InProcess::start(&config(TRUSTING, upstream.address()));

    let huge = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    for header in [&b""[..], b"PROXY TCP4 nobody\r\n", &v2(0x22, 0x11, &[0; 12]), &huge] {
        let answer = send(gateway.address(), [header, REQUEST.as_bytes()].concat()).await;

        assert_eq!(answer, b"", "{header:?}");
    }

    gateway.until_metric(&errors("proxy_header"), 4.0).await;
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let upstream = Upstream::answering(OK).await;
    let listener = format!("{TRUSTING}, timeouts = {{ proxy_header = '100ms' }}");
    let gateway = InProcess::start(&config(&listener, upstream.address()));

    let answer = send(gateway.address(), "PROXY TCP4 192.0").await;

    assert_eq!(answer, b"");
    gateway.until_metric(&errors("proxy_header_timeout"), 1.0).await;
}

#[tokio::test]
async fn nobody_else_is_listened_to() {
    let mut upstream = Upstream::answering(OK).await;
    let listener = "proxy_protocol = { from = ['192.0.2.0/24', 'unix'] }";
    let gateway = InProcess::start(&config(listener, upstream.address()));

    assert_eq!(status(gateway.address(), &v1("192.0.2.7")).await, 400);
    assert!(upstream.saw_nothing());
    assert_eq!(status(gateway.address(), b"").await, 200);
}

#[tokio::test]
async fn who_comes_by_a_path_may_speak_for_others_if_that_is_said() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = "limits = { connections_per_address = 1 }, proxy_protocol = { from = ['unix'] }";
    let config = config(listener, upstream.address());
    let config = config.replacen("'127.0.0.1:0'", &format!("'unix:{}'", path.display()), 1);
    let gateway = InProcess::start(&config);

    let mut first = Connection::over(UnixStream::connect(&path).await.unwrap());
    first.write([&v1("192.0.2.7")[..], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"].concat()).await;
    assert_eq!(first.response().await.body, "ok");
    let mut same = UnixStream::connect(&path).await.unwrap();
    same.write_all(&v1("192.0.2.7")).await.unwrap();
    let mut other = Connection::over(UnixStream::connect(&path).await.unwrap());
    other.write([&v1("192.0.2.8")[..], REQUEST.as_bytes()].concat()).await;

    assert_eq!(read_to_end(&mut same).await, b"");
    assert_eq!(other.response().await.body, "ok");
    gateway.until_metric(&errors("too_many_of_address"), 1.0).await;
}

#[tokio::test]
async fn the_header_stands_before_tls() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let listener = format!("{TRUSTING}, tls = {{ {} }}", identity.files());
    let gateway = InProcess::start(&config(&listener, upstream.address()));

    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    socket.write_all(&v1("192.0.2.7")).await.unwrap();
    let tls = TlsConnector::from(Arc::new(identity.client(&[])));
    let stream = tls.connect(ServerName::try_from("gateway.test").unwrap(), socket).await.unwrap();
    let mut connection = Connection::over(stream);
    connection.write(REQUEST).await;

    assert_eq!(connection.response().await.body, "ok");
}
