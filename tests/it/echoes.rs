//! Calls of gRPC and tunnels of `WebSocket` between clients and servers that others wrote.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use portcullis_tests::{Process, gateway};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::peers::{installed, said};

/// A program of the folder `tests/peers` that runs on. Dropped, it is killed.
struct Peer {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    path.to_str().unwrap().to_owned()
}

impl Peer {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(script(name)).args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("`tests/run` installs it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { lines, _child: child }
    }

    /// One that serves, and where.
    async fn serve(name: &str) -> (Self, SocketAddr) {
        let mut peer = Self::start(name, &["serve"]);
        let port: u16 = peer.line().await.parse().unwrap();
        (peer, ([127, 0, 0, 1], port).into())
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("another line")
    }
}

#[tokio::test]
async fn grpc_passes_in_all_its_forms() {
    let (_server, address) = Peer::serve("grpc-echo.py").await;
    let gateway = gateway(&format!(
        "upstream.a = {{ http_version = '2', replica = [{{ name = 'a', url = 'http://{address}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ));

    let to = gateway.address().to_string();
    let told = said("python/bin/python", &[&script("grpc-echo.py"), "call", &to], "").await;

    let expected = "unary b'cba' a {'x-trailing': 't'}
large True
server stream [b'a', b'b', b'c']
client stream b'a+b+c'
both [b'A', b'B', b'C']
error FAILED_PRECONDITION not like this: ünsound f
error UNIMPLEMENTED Method not found! None
half b'a'
error DATA_LOSS half of it
deadline True
error DEADLINE_EXCEEDED
";
    assert_eq!(told, expected);
    let connections = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    assert_eq!(gateway.metric(connections).await, 1.0);
}

fn websockets(to: SocketAddr, more: &str) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{to}' }}] }}
         route = [{{ path = '/', upstream = 'a', upgrade = 'websocket' }}]
         {more}"
    )
}

#[tokio::test]
async fn websockets_pass_with_fragments_compression_and_the_way_they_close() {
    let (_server, address) = Peer::serve("websocket-echo.py").await;
    let gateway = gateway(&websockets(address, ""));

    let url = format!("ws://{}/chat", gateway.address());
    let script = script("websocket-echo.py");
    let told = said("python/bin/python", &[&script, "call", &url], "").await;

    let expected = "subprotocol chat
deflate True
True
True
True
in three parts
closed 4321 enough
";
    assert_eq!(told, expected);
    gateway.until_metric("portcullis_tunnels_open", 0.0).await;
}

#[tokio::test]
async fn a_websocket_is_told_of_a_drain_and_lets_the_gateway_end() {
    let (_server, address) = Peer::serve("websocket-echo.py").await;
    let config = websockets(
        address,
        "listener = [{ address = '127.0.0.1:0' }]
         drain = { deadline = '10m' }",
    );
    let (process, gateway, _) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;
    let mut client = Peer::start("websocket-echo.py", &["wait", &format!("ws://{gateway}/")]);
    assert_eq!(client.line().await, "hello");

    process.signal("TERM").await;

    assert_eq!(client.line().await, "closed 1001");
    let (status, written) = process.end().await;
    assert_eq!(status.code(), Some(0), "{written:#?}");
}
