//! TLS with clients.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use portcullis_tests::{Connection, Identity, InProcess, Upstream, http2_over, send};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway that is `identity` to its clients.
fn serving(identity: &Identity, upstream: SocketAddr) -> InProcess {
    let (certificate, key) = (identity.certificate(), identity.key());
    let (certificate, key) = (certificate.display(), key.display());
    InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', tls = {{ certificate = '{certificate}', key = '{key}' }} }}]
         admin = {{ address = '127.0.0.1:0' }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ))
}

async fn connect(
    to: &InProcess,
    client: rustls::ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to.address()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, socket).await
}

fn alpn(stream: &TlsStream<TcpStream>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

async fn tls_errors(gateway: &InProcess) -> f64 {
    gateway.metric("portcullis_connection_errors_total{reason=\"tls_handshake\"}").await
}

#[tokio::test]
async fn a_client_that_offers_both_gets_http_2() {
    let identity = Identity::new(&["gateway.test"]);
    let mut upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    let client = identity.client(&["http/1.1", "h2"]);
    let stream = connect(&gateway, client, "gateway.test").await.unwrap();
    assert_eq!(alpn(&stream), Some(&b"h2"[..]));
    let mut client = http2_over(stream).await;
    let request = Request::get("https://gateway.test/a").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();

    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    assert_eq!(upstream.seen().await.line(), "GET /a HTTP/1.1");
}

#[tokio::test]
async fn a_client_that_offers_http_1_alone_or_nothing_gets_http_1() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    for (offered, agreed) in [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let client = identity.client(offered);
        let stream = connect(&gateway, client, "gateway.test").await.unwrap();
        assert_eq!(alpn(&stream), agreed);
        let mut client = Connection::over(stream);
        for _ in 0..2 {
            client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(client.response().await.body, "ok");
        }
    }
}

#[tokio::test]
async fn a_client_that_names_another_server_or_none_is_shown_the_same_certificate() {
    let identity = Identity::new(&["gateway.test", "other.test", "127.0.0.1"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    let another = connect(&gateway, identity.client(&[]), "other.test").await;
    let address = connect(&gateway, identity.client(&[]), "127.0.0.1").await; // sends no SNI
    let mut silent = identity.client(&[]);
    silent.enable_sni = false;
    let silent = connect(&gateway, silent, "gateway.test").await;

    for stream in [another, address, silent] {
        let mut client = Connection::over(stream.unwrap());
        client.write("GET / HTTP/1.1\r\nhost: whatever.test\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
    }
}

#[tokio::test]
async fn a_response_over_tls_ends_as_tls_has_it() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    let mut stream = connect(&gateway, identity.client(&[]), "gateway.test").await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let end = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await;

    // Without a close_notify this would be an unexpected end: the body could have been cut.
    assert!(end.is_ok(), "{end:?}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn plain_http_is_no_tls_and_is_counted() {
    let identity = Identity::new(&["gateway.test"]);
    let mut upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    let answer = send(gateway.address(), "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;

    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    assert_eq!(tls_errors(&gateway).await, 1.0);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_gateway_is_counted() {
    let (identity, stranger) = (Identity::new(&["gateway.test"]), Identity::new(&["gateway.test"]));
    let upstream = Upstream::answering(OK).await;
    let gateway = serving(&identity, upstream.address());

    let stream = connect(&gateway, stranger.client(&[]), "gateway.test").await;

    assert!(stream.is_err());
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    assert_eq!(tls_errors(&gateway).await, 1.0);
}
