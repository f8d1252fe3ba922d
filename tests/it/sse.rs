//! Streams of events, which are worth nothing when they are late.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use portcullis_tests::{Connection, InProcess, Recorded, Upstream, gateway, http2, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

/// A stream that goes on only when it is told to, and tells when nobody listens any more.
struct Events {
    upstream: Upstream,
    next: mpsc::Sender<Option<String>>,
    closed: mpsc::Receiver<()>,
}

impl Events {
    /// Each piece is what the test sends, framed by `frame`, without a byte more.
    async fn start(head: &'static str, frame: fn(&str) -> String) -> Self {
        let (next, pieces) = mpsc::channel::<Option<String>>(1);
        let (told, closed) = mpsc::channel(1);
        let pieces = Arc::new(Mutex::new(pieces));
        let serve = move |mut socket: TcpStream, seen: mpsc::UnboundedSender<Recorded>| {
            let (pieces, told) = (pieces.clone(), told.clone());
            async move {
                let Some(request) = read_request(&mut socket).await else { return }; // a probe
                seen.send(request).ok();
                socket.write_all(head.as_bytes()).await.unwrap();
                let mut pieces = pieces.lock().await;
                let mut byte = [0];
                loop {
                    tokio::select! {
                        piece = pieces.recv() => match piece.flatten() {
                            Some(piece) => socket.write_all(frame(&piece).as_bytes()).await.unwrap(),
                            None => return,
                        },
                        _ = socket.read(&mut byte) => {
                            told.send(()).await.ok();
                            return;
                        }
                    }
                }
            }
        };
        Self { upstream: Upstream::serving(serve).await, next, closed }
    }

    fn gateway(&self) -> InProcess {
        gateway(&format!(
            "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]",
            self.upstream.address()
        ))
    }

    async fn say(&self, event: &str) {
        self.next.send(Some(event.to_owned())).await.unwrap();
    }

    async fn end(&self) {
        self.next.send(None).await.unwrap();
    }

    /// Waits until the gateway has closed its connection.
    async fn closed(&mut self) {
        self.closed.recv().await.unwrap();
    }
}

const CLOSE_DELIMITED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn as_it_is(event: &str) -> String {
    event.to_owned()
}

fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// What does not come within a time that is long on any machine does not come.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what).await.expect("something that comes")
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n";

fn event(number: u32) -> String {
    format!("id: {number}\ndata: tick\n\n")
}

#[tokio::test]
async fn events_of_a_chunked_stream_arrive_one_by_one() {
    let events = Events::start(CHUNKED, chunk).await;
    let gateway = events.gateway();
    let mut client = Connection::open(gateway.address()).await;

    client.write(GET).await;
    let head = soon(client.head()).await;

    assert_eq!(head.header("content-type"), ["text/event-stream"]);
    for number in 0..5 {
        // The next is not said before this one has been heard.
        let event = event(number);
        events.say(&event).await;
        assert_eq!(soon(client.take(chunk(&event).len())).await, chunk(&event).into_bytes());
    }
}

#[tokio::test]
async fn events_of_a_stream_without_a_length_arrive_one_by_one() {
    let events = Events::start(CLOSE_DELIMITED, as_it_is).await;
    let gateway = events.gateway();
    let mut client = Connection::open(gateway.address()).await;

    client.write(GET).await;
    let head = soon(client.head()).await;

    assert_eq!(head.header("transfer-encoding"), ["chunked"]);
    for number in 0..5 {
        let event = event(number);
        events.say(&event).await;
        assert_eq!(soon(client.take(chunk(&event).len())).await, chunk(&event).into_bytes());
    }
    events.end().await;
    assert_eq!(soon(client.take(5)).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn events_arrive_one_by_one_over_http_2() {
    let events = Events::start(CHUNKED, chunk).await;
    let gateway = events.gateway();
    let mut client = http2(gateway.address()).await;

    let request = Request::get("http://a.test/").body(Empty::<Bytes>::new()).unwrap();
    let mut response = client.send_request(request).await.unwrap();

    assert_eq!(response.headers()["content-type"], "text/event-stream");
    for number in 0..5 {
        let event = event(number);
        events.say(&event).await;
        let frame = soon(response.body_mut().frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
}

#[tokio::test]
async fn the_head_of_a_stream_does_not_wait_for_its_first_event() {
    let events = Events::start(CHUNKED, chunk).await;
    let gateway = events.gateway();
    let mut client = Connection::open(gateway.address()).await;

    client.write(GET).await;

    assert_eq!(soon(client.head()).await.status, 200);
}

const LEFT: &str = r#"portcullis_refusals_total{route="/",reason="client_closed"}"#;

#[tokio::test]
async fn a_listener_that_leaves_ends_the_stream_at_the_upstream() {
    let mut events = Events::start(CHUNKED, chunk).await;
    let gateway = events.gateway();
    let mut client = Connection::open(gateway.address()).await;

    client.write(GET).await;
    soon(client.head()).await;
    events.say(&event(0)).await;
    soon(client.take(chunk(&event(0)).len())).await;
    drop(client);

    soon(events.closed()).await;
    gateway.until_metric(LEFT, 1.0).await;
}

#[tokio::test]
async fn a_listener_that_leaves_by_http_2_ends_the_stream_at_the_upstream() {
    let mut events = Events::start(CHUNKED, chunk).await;
    let gateway = events.gateway();
    let mut client = http2(gateway.address()).await;

    let request = || Request::get("http://a.test/").body(Empty::<Bytes>::new()).unwrap();
    let mut response = client.send_request(request()).await.unwrap();
    events.say(&event(0)).await;
    soon(response.body_mut().frame()).await.unwrap().unwrap();
    // The stream alone is reset: the connection is still there.
    drop(response);

    soon(events.closed()).await;
    gateway.until_metric(LEFT, 1.0).await;
    assert!(!client.is_closed());
}

#[tokio::test]
async fn a_stream_that_comes_to_its_end_is_no_client_that_left() {
    let events = Events::start(CLOSE_DELIMITED, as_it_is).await;
    let gateway = events.gateway();
    let mut client = Connection::open(gateway.address()).await;

    client.write(GET).await;
    soon(client.head()).await;
    events.end().await;
    soon(client.take(5)).await;

    let answered = r#"portcullis_requests_total{route="/",method="GET",status="200"}"#;
    gateway.until_metric(answered, 1.0).await;
    assert_eq!(gateway.metric(LEFT).await, 0.0);
}
