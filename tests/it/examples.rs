//! The configurations that are shown: each is right, says the same in TOML and in YAML, and does its work.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::config::{Config, Format, read};
use portcullis::plan::Plan;
use portcullis_tests::{
    Identity, Nowhere, Process, Upstream, ask, dechunk, in_an_hour, read_to_end, token,
};
use rustls::pki_types::ServerName;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/examples")
}

/// What the file of this name says, where each variable without a default is its own name, and long enough for a key.
fn config(name: &str) -> Config {
    let text = fs::read_to_string(examples().join(name)).unwrap();
    let lookup = |name: &str| {
        let needed = ["API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "JWT_SECRET"];
        needed.contains(&name).then(|| name.repeat(8))
    };
    let format = Format::of(Path::new(name)).unwrap();
    // Certificates are for whoever runs it to make, beside the file.
    let text = text.replace("tls = { certificate", "# tls = { certificate");
    let text = text.replace("tls: { certificate", "# tls: { certificate");
    let plan = read(&text, format, &lookup).and_then(Plan::of);
    plan.map_err(|found| format!("{name}: {found:#?}")).unwrap().config
}

#[test]
fn each_says_the_same_in_both_forms() {
    let mut names = Vec::new();
    for entry in fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert_eq!(names.len(), 3);
    for name in names {
        assert_eq!(config(&format!("{name}.toml")), config(&format!("{name}.yaml")), "{name}");
    }
}

/// Runs the example of this name, in a folder of its own, as it is.
async fn run(name: &str, environment: &[(&str, &str)], folder: &TempDir) -> (Process, SocketAddr) {
    let file = folder.path().join(name);
    fs::copy(examples().join(name), &file).unwrap();
    let here = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0")];
    let environment = [&here[..], environment].concat();
    let (process, address, _) = Process::run_in(GATEWAY, &file, &environment).await;
    (process, address)
}

#[tokio::test]
async fn the_api_proxy_injects_its_key_and_streams() {
    let head = "HTTP/1.1 200 OK\r\nserver: secret/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    let events = "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";
    let mut upstream = Upstream::answering(format!("{head}{events}")).await;
    let url = format!("http://{}", upstream.address());
    for name in ["api-proxy.toml", "api-proxy.yaml"] {
        let folder = tempfile::tempdir().unwrap();
        let environment = [("UPSTREAM", &*url), ("API_KEY", "the key")];
        let (_process, gateway) = run(name, &environment, &folder).await;

        let shown = ["authorization: Bearer mine", "cookie: a=b"];
        let response = ask(gateway, "GET /v1/events", &shown).await;

        assert_eq!(response.status, 200, "{name}");
        assert_eq!(dechunk(&response.body).unwrap().0, "data: 1\n\ndata: 2\n\n");
        assert!(response.header("server").is_empty());
        let seen = upstream.seen().await;
        assert_eq!(seen.header("authorization"), ["Bearer the key"]);
        assert!(seen.header("cookie").is_empty());
    }
}

#[tokio::test]
async fn the_s3_gateway_asks_for_a_token_signs_and_goes_to_the_spare() {
    let mut spare = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let nowhere = Nowhere::take();
    let (primary, spare_url) =
        (format!("http://{}", nowhere.address()), format!("http://{}", spare.address()));
    let claims = json!({ "iss": "https://accounts.example.com", "aud": "photos", "role": "reader", "exp": in_an_hour() });
    let bearer = format!("authorization: Bearer {}", token(&claims));
    for name in ["s3-gateway.toml", "s3-gateway.yaml"] {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("PRIMARY", &*primary),
            ("SPARE", &spare_url),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "not a real secret"),
            ("JWT_SECRET", "a secret of the tests, 32 bytes!"),
        ];
        let (_process, gateway) = run(name, &environment, &folder).await;

        assert_eq!(ask(gateway, "GET /photos/a.txt", &[]).await.status, 401, "{name}");
        let response = ask(gateway, "GET /photos/a.txt", &[&bearer]).await;

        assert_eq!((response.status, &*response.body), (200, "hello"), "{name}");
        let seen = spare.seen().await;
        assert!(seen.header("authorization")[0].starts_with("AWS4-HMAC-SHA256 "), "{seen:?}");
    }
}

#[tokio::test]
async fn the_reverse_proxy_serves_tls_and_leads_on() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsite").await;
    let url = format!("http://{}", upstream.address());
    let identity = Identity::new(&["localhost", "www.localhost"]);
    for name in ["reverse-proxy.toml", "reverse-proxy.yaml"] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(identity.certificate(), folder.path().join("cert.pem")).unwrap();
        fs::copy(identity.key(), folder.path().join("key.pem")).unwrap();
        let (_process, gateway) = run(name, &[("ONE", &url), ("TWO", &url)], &folder).await;

        let site = over_tls(gateway, &identity, "localhost").await;
        assert!(site.starts_with("HTTP/1.1 200 ") && site.ends_with("site"), "{name}: {site}");
        assert!(site.contains("strict-transport-security: max-age=31536000\r\n"), "{site}");
        let www = over_tls(gateway, &identity, "www.localhost").await;
        assert!(www.starts_with("HTTP/1.1 308 "), "{www}");
        assert!(www.contains("location: https://localhost:8443/\r\n"), "{www}");
    }
}

/// What is answered to this host over TLS.
async fn over_tls(gateway: SocketAddr, identity: &Identity, host: &str) -> String {
    let socket = TcpStream::connect(gateway).await.unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let client = Arc::new(identity.client(&["http/1.1"]));
    let mut stream = TlsConnector::from(client).connect(name, socket).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(read_to_end(&mut stream).await).unwrap()
}
