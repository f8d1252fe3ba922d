//! Spans as a collector reads them that others wrote.

use std::net::SocketAddr;
use std::process::Stdio;

use portcullis_tests::{Nowhere, Upstream, ask, gateway};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::peers::{installed, said};

/// A collector that prints what it is told. Dropped, it is killed.
struct Rotel {
    address: SocketAddr,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Rotel {
    async fn start() -> Self {
        let find = "import os, rotel\nprint(os.path.dirname(rotel.__file__))";
        let folder = said("python/bin/python", &["-"], find).await;
        let [http, grpc] = [Nowhere::take(), Nowhere::take()].map(|taken| taken.address());
        let mut process = Command::new(installed(folder.trim()).join("rotel-agent"))
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("rotel, which `tests/run` installs");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        while tokio::net::TcpStream::connect(http).await.is_err() {}
        Self { address: http, lines, _process: process }
    }
}

impl Rotel {
    /// What it prints of spans, up to the last line of the one of a request.
    async fn spans(&mut self) -> Vec<String> {
        let mut printed = String::new();
        while !printed.contains("user_agent.original") {
            printed += &self.lines.next_line().await.unwrap().expect("more lines");
            printed.push('\n');
        }
        printed.split("\nSpan #").skip(1).map(str::to_owned).collect()
    }
}

/// The rest of the line that begins so.
fn says<'s>(span: &'s str, name: &str) -> &'s str {
    let lines = span.lines().map(|line| line.trim_start_matches([' ', '-', '>']));
    let mut found = lines.filter_map(|line| line.strip_prefix(name));
    found.next().map_or("", |rest| rest.trim_start_matches([' ', ':']))
}

#[tokio::test]
async fn rotel_reads_what_it_is_told_of_a_request() {
    let mut rotel = Rotel::start().await;
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let mut upstream = Upstream::answering(ok).await;
    let gateway = gateway(&format!(
        "upstream.u = {{ replica = [{{ name = 'one', url = 'http://{}' }}] }}
         route = [{{ path = '/a', upstream = 'u' }}]
         trace = {{ endpoint = 'http://{}', interval = '10ms', trusted = 'all' }}",
        upstream.address(),
        rotel.address
    ));

    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let traceparent = format!("traceparent: 00-{trace}-{parent}-01");
    ask(gateway.address(), "GET /a/b", &[&traceparent, "user-agent: me/1"]).await;
    let seen = upstream.seen().await;
    let spans = rotel.spans().await;

    let [client, server] = &*spans else { panic!("{spans:#?}") };
    for (span, name, kind, parent) in [
        (server, "GET /a", "SPAN_KIND_SERVER", parent),
        (client, "GET", "SPAN_KIND_CLIENT", says(server, "ID ")),
    ] {
        assert_eq!(says(span, "Trace ID"), trace, "{span}");
        assert_eq!(says(span, "Parent ID"), parent, "{span}");
        assert_eq!((says(span, "Name"), says(span, "Kind")), (name, kind), "{span}");
        assert_eq!(says(span, "http.response.status_code"), "Int(200)", "{span}");
    }
    assert_eq!(says(server, "url.path"), "Str(/a/b)");
    assert_eq!(says(server, "http.route"), "Str(/a)");
    assert_eq!(says(server, "user_agent.original"), "Str(me/1)");
    let url = format!("Str(http://{}/a/b)", upstream.address());
    assert_eq!(says(client, "url.full"), url);
    let told = format!("00-{trace}-{}-01", says(client, "ID "));
    assert_eq!(seen.header("traceparent"), [told]);
    gateway.until_metric("portcullis_spans_total{outcome=\"exported\"}", 2.0).await;
}
