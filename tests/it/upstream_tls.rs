//! TLS with upstreams: who they must be, and who the gateway is to them.

use std::sync::Arc;

use portcullis_tests::{
    Identity, InProcess, Process, Response, Upstream, gateway, get, plan, read_request,
};
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An upstream that is `identity`, and answers whatever is asked over TLS.
async fn https(identity: &Identity) -> Upstream {
    serving(identity.server()).await
}

/// An upstream that answers whatever is asked over this TLS.
async fn serving(tls: Arc<ServerConfig>) -> Upstream {
    let acceptor = TlsAcceptor::from(tls);
    Upstream::serving(move |socket, seen| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            while let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                socket.write_all(OK.as_bytes()).await.unwrap();
                socket.flush().await.unwrap();
            }
        }
    })
    .await
}

/// A gateway that asks an upstream at this URL, and trusts what the line says.
fn asking(url: &str, trust: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = '{url}' }}], {trust} }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ))
}

async fn handshake_failures(gateway: &InProcess) -> f64 {
    let labels = "upstream=\"a\",replica=\"a\",phase=\"handshake\"";
    gateway.metric(&format!("portcullis_upstream_failures_total{{{labels}}}")).await
}

fn reason(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_in_the_ca_file_is_trusted() {
    let identity = Identity::new(&["localhost"]);
    let mut upstream = https(&identity).await;
    let authority = format!("localhost:{}", upstream.address().port());
    let trust = format!("ca_file = '{}'", identity.certificate().display());
    let gateway = asking(&format!("https://{authority}"), &trust);

    for path in ["/a", "/b"] {
        assert_eq!(get(gateway.address(), path).await.body, "ok");
        let seen = upstream.seen().await;
        assert_eq!(seen.line(), format!("GET {path} HTTP/1.1"));
        assert_eq!(seen.header("host"), [authority.as_str()]);
    }

    let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn an_upstream_may_be_known_by_its_address() {
    let identity = Identity::new(&["127.0.0.1"]);
    let upstream = https(&identity).await;
    let trust = format!("ca_file = '{}'", identity.certificate().display());
    let gateway = asking(&format!("https://{}", upstream.address()), &trust);

    assert_eq!(get(gateway.address(), "/").await.status, 200);
}

#[tokio::test]
async fn an_upstream_that_nobody_vouches_for_is_sent_nothing() {
    let identity = Identity::new(&["localhost"]);
    let mut upstream = https(&identity).await;
    let gateway = asking(&format!("https://localhost:{}", upstream.address().port()), "");

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response).as_str()), (502, "upstream_handshake"));
    assert_eq!(handshake_failures(&gateway).await, 1.0);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn an_upstream_of_another_name_is_sent_nothing() {
    let identity = Identity::new(&["other.test"]);
    let mut upstream = https(&identity).await;
    let trust = format!("ca_file = '{}'", identity.certificate().display());
    let gateway = asking(&format!("https://localhost:{}", upstream.address().port()), &trust);

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response).as_str()), (502, "upstream_handshake"));
    assert_eq!(handshake_failures(&gateway).await, 1.0);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn an_upstream_that_does_not_shake_hands_is_not_waited_for() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        while let Ok(1..) = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 1024]).await {}
    })
    .await;
    let url = format!("https://localhost:{}", upstream.address().port());
    let gateway = asking(&url, "timeouts = { tls_handshake = '100ms' }");

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response).as_str()), (504, "upstream_handshake_timeout"));
    assert_eq!(handshake_failures(&gateway).await, 1.0);
}

#[tokio::test]
async fn an_upstream_may_have_another_name_than_its_address() {
    let identity = Identity::new(&["inner.test"]);
    let mut upstream = https(&identity).await;
    let authority = format!("localhost:{}", upstream.address().port());
    let trust = format!("ca_file = '{}'", identity.certificate().display());
    let named = format!("{trust}, server_name = 'inner.test'");
    let gateway = asking(&format!("https://{authority}"), &named);

    assert_eq!(get(gateway.address(), "/").await.status, 200);
    assert_eq!(upstream.seen().await.header("host"), [authority.as_str()]);

    // And no other than that one.
    let wrong = format!("{trust}, server_name = 'localhost'");
    let gateway = asking(&format!("https://{authority}"), &wrong);
    assert_eq!(reason(&get(gateway.address(), "/").await), "upstream_handshake");
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn an_upstream_that_serves_one_client_alone_serves_the_gateway_if_it_is_that() {
    let (identity, own) = (Identity::new(&["localhost"]), Identity::called("gateway", &[]));
    let stranger = Identity::called("gateway", &[]);
    let upstream = serving(identity.server_for(&own)).await;
    let url = format!("https://localhost:{}", upstream.address().port());
    let shown = |who: &Identity| {
        format!(
            "ca_file = '{}', client_certificate = '{}', client_key = '{}'",
            identity.certificate().display(),
            who.certificate().display(),
            who.key().display()
        )
    };

    let known = asking(&url, &shown(&own));
    assert_eq!(get(known.address(), "/").await.body, "ok");

    // By TLS 1.3 a client learns of its refusal after the handshake, from the first answer.
    for line in [shown(&stranger), format!("ca_file = '{}'", identity.certificate().display())] {
        let unknown = asking(&url, &line);
        assert_eq!(get(unknown.address(), "/").await.status, 502);
    }
}

#[tokio::test]
async fn any_certificate_will_do_only_if_that_is_said_aloud() {
    let identity = Identity::new(&["other.test"]);
    let upstream = https(&identity).await;
    let (mut process, address, _) = Process::serve(
        env!("CARGO_BIN_EXE_gateway"),
        &format!(
            "listener = [{{ address = '127.0.0.1:0' }}]
             route = [{{ path = '/', upstream = 'a' }}]
             [upstream.a]
             replica = [{{ name = 'a', url = 'https://{}' }}]
             danger_accept_any_certificate = true",
            upstream.address()
        ),
    )
    .await;

    assert_eq!(get(address, "/").await.body, "ok");
    let warning = process.line(|line| line.contains("danger_accept_any_certificate")).await;
    assert!(warning.contains("\"WARN\"") && warning.contains("\"upstream\":\"a\""), "{warning}");
}

#[tokio::test]
async fn protection_that_an_upstream_cannot_have_is_not_asked_for() {
    let (one, other) = (Identity::new(&["a.test"]), Identity::new(&["b.test"]));
    let files = format!(
        "client_certificate = '{}', client_key = '{}'",
        one.certificate().display(),
        one.key().display()
    );
    let mixed = format!(
        "client_certificate = '{}', client_key = '{}'",
        one.certificate().display(),
        other.key().display()
    );
    for (scheme, line, key, expected) in [
        ("https", "client_certificate = 'a.pem'", "client_certificate", "its key is missing"),
        ("https", "client_key = 'a.pem'", "client_key", "its certificate is missing"),
        ("https", &*mixed, "client_certificate", "cannot be used: "),
        (
            "https",
            "client_certificate = 'no.pem', client_key = 'no.pem'",
            "client_certificate",
            "cannot read no.pem",
        ),
        (
            "https",
            "server_name = 'a b'",
            "server_name",
            "`a b` is no name that a certificate can carry",
        ),
        ("http", &*files, "client_certificate", "no replica is asked over TLS"),
        ("http", "server_name = 'a.test'", "server_name", "no replica is asked over TLS"),
        (
            "https",
            "server_name = 'a.test', danger_accept_any_certificate = true",
            "danger_accept_any_certificate",
            "any certificate would do",
        ),
    ] {
        let config = format!(
            "listener = [{{ address = '127.0.0.1:0' }}]
             upstream.a = {{ replica = [{{ name = 'a', url = '{scheme}://127.0.0.1:1' }}], {line} }}
             route = [{{ path = '/', upstream = 'a' }}]"
        );

        let complaint = plan(&config).unwrap_err();

        let at = format!(" upstream.a.{key}: ");
        assert!(complaint.contains(&at) && complaint.contains(expected), "{line}: {complaint}");
    }
}
