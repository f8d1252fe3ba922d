//! What an upstream answers to do harm: the client hears one answer to each request, and nobody hears that of another.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Collected, Empty};
use portcullis_tests::{
    Connection, Frames, InProcess, Response, Upstream, block, bytes, dechunk, exchange, gateway,
    http2, read_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::Table;

use Fate::{Bad, CutOff, Passes};

/// What the client hears.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// That the upstream answered with nothing that can be passed on.
    Bad,
    /// This status and this body.
    Passes(u16, &'static str),
    /// The beginning of a body, and that it is not all.
    CutOff(&'static str),
}

/// Answers to a `GET /`.
const ANSWERS: [(&str, &str, Fate); 56] = [
    // Where a body ends.
    ("a length", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Passes(200, "ok")),
    (
        "a length with zeros before",
        "HTTP/1.1 200 OK\r\ncontent-length: 002\r\n\r\nok",
        Passes(200, "ok"),
    ),
    (
        "the same length twice",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        Bad,
    ),
    ("a list of the same length", "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok", Bad),
    ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nokok", Bad),
    ("a list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2, 4\r\n\r\nokok", Bad),
    ("a plus", "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", Bad),
    ("less than nothing", "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", Bad),
    ("hexadecimal", "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok", Bad),
    ("no number", "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nok", Bad),
    (
        "more than a number holds",
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551618\r\n\r\nok",
        Bad,
    ),
    (
        "chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Passes(200, "ok"),
    ),
    (
        "chunks, and a length",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    (
        "a length, and chunks",
        "HTTP/1.1 200 OK\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    (
        "a coding within chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    (
        "chunks twice",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    (
        "chunks twice in two lines",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    (
        "chunks, and then not",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, identity\r\n\r\nok",
        Bad,
    ),
    ("no coding that there is", "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nok", Bad),
    (
        "chunks in HTTP/1.0",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Bad,
    ),
    // Chunks.
    (
        "no size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n",
        CutOff("ok"),
    ),
    (
        "a size below nothing",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n-1\r\n",
        CutOff("ok"),
    ),
    (
        "a size that wraps",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n10000000000000000\r\n",
        CutOff("ok"),
    ),
    (
        "more than the size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokHTTP/1.1 200 OK\r\n\r\n",
        CutOff("ok"),
    ),
    (
        "a bare LF in an extension",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n2;a\nb\r\nok\r\n0\r\n\r\n",
        CutOff("ok"),
    ),
    (
        "a bare LF behind a size",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n2\nok\r\n0\r\n\r\n",
        CutOff("ok"),
    ),
    (
        "a trailer that frames",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: content-length\r\n\r\n2\r\nok\r\n0\r\ncontent-length: 9\r\n\r\n",
        Passes(200, "ok"),
    ),
    (
        "a trailer that is an answer",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP/1.1 200 OK\r\nx-a: 1\r\n\r\n",
        CutOff("ok"),
    ),
    // More than one.
    (
        "two answers",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(200, "ok"),
    ),
    (
        "an answer behind chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(200, "ok"),
    ),
    (
        "an answer behind none",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(200, ""),
    ),
    (
        "more than its length",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokevil",
        Passes(200, "ok"),
    ),
    (
        "a body where there is none",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(204, ""),
    ),
    (
        "a length where there is none",
        "HTTP/1.1 204 No Content\r\ncontent-length: 45\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(204, ""),
    ),
    (
        "chunks where there are none",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        Passes(204, ""),
    ),
    (
        "a body that has not changed",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 45\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Passes(304, ""),
    ),
    (
        "an answer on its way",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Passes(200, "ok"),
    ),
    (
        "an answer on its way with a length",
        "HTTP/1.1 103 Early Hints\r\ncontent-length: 4\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Passes(200, "ok"),
    ),
    (
        "another protocol",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Bad,
    ),
    // Lines.
    ("no HTTP", "ICY 200 OK\r\n\r\n", Bad),
    ("another version", "HTTP/2 200 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("no such version", "HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a status of no class", "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a status that is no number", "HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n", Bad),
    ("no status", "HTTP/1.1\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a control byte in the reason", "HTTP/1.1 200 O\x01K\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a CR in a value", "HTTP/1.1 200 OK\r\nx-a: 1\r2\r\ncontent-length: 0\r\n\r\n", Bad),
    ("NUL in a value", "HTTP/1.1 200 OK\r\nx-a: 1\0\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a folded line", "HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n", Bad),
    ("a space before a colon", "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", Bad),
    ("a space in a name", "HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 0\r\n\r\n", Bad),
    ("no name", "HTTP/1.1 200 OK\r\n: 1\r\ncontent-length: 0\r\n\r\n", Bad),
    ("no colon", "HTTP/1.1 200 OK\r\nx-a\r\ncontent-length: 0\r\n\r\n", Bad),
    ("bare LFs", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Passes(200, "ok")),
];

const NEXT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext";

fn to(upstream: &Upstream) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    ))
}

/// Answers `/` with these bytes, and anything else rightly, over one connection after another.
async fn answering(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Upstream {
    let answer = Arc::new(answer);
    Upstream::serving(move |mut socket, seen| {
        let answer = answer.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let next = request.line().contains("/next");
                seen.send(request).ok();
                let answer = if next { NEXT.as_bytes() } else { (*answer).as_ref() };
                if socket.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const ASK_NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

/// Asks over HTTP/1.1 for what goes wrong, and then for what does not, over the same connection if there is one.
async fn hears(name: &str, gateway: &InProcess, fate: Fate) {
    let mut client = Connection::open(gateway.address()).await;
    client.write(ASK).await;
    match fate {
        Bad => {
            let answer = client.response().await;
            assert_eq!(answer.status, 502, "{name}: {answer:?}");
            assert!(!answer.body.contains("ok"), "{name}: {answer:?}");
        }
        Passes(status, body) => {
            let head = client.head().await;
            let of_status =
                head.header("content-length").first().map(|length| length.parse().unwrap());
            let framed = match of_status {
                Some(_) if status == 304 => Vec::new(),
                Some(length) => client.take(length).await,
                None if head.header("transfer-encoding").is_empty() => Vec::new(),
                // One chunk, or none, and no trailer.
                None if body.is_empty() => client.take(5).await,
                None => client.take(body.len() + 10).await,
            };
            let whole = dechunk(&framed).map(|(body, _)| body.into_bytes());
            let found = whole.filter(|_| of_status.is_none()).unwrap_or(framed);
            assert_eq!((head.status, &*String::from_utf8_lossy(&found)), (status, body), "{name}");
        }
        CutOff(body) => {
            let rest = client.rest().await;
            let answer = Response::parse(&rest);
            let framed = format!("{:x}\r\n{body}\r\n", body.len());
            assert_eq!((answer.status, answer.body), (200, framed), "{name}");
            client = Connection::open(gateway.address()).await;
        }
    }
    for mut client in [client, Connection::open(gateway.address()).await] {
        client.write(ASK_NEXT).await;
        let next = client.response().await;
        assert_eq!((next.status, next.body.as_str()), (200, "next"), "{name}");
    }
}

/// The same over HTTP/2, where a client has more than one request open.
async fn hears_over_http2(name: &str, gateway: &InProcess, fate: Fate) {
    let mut client = http2::<Empty<Bytes>>(gateway.address()).await;
    let ask = |path: &str| Request::get(format!("http://a{path}")).body(Empty::new()).unwrap();

    let response = client.send_request(ask("/")).await.unwrap();
    let status = response.status().as_u16();
    let whole = response.into_body().collect().await.map(Collected::to_bytes);
    let next = client.send_request(ask("/next")).await.unwrap();
    let next = next.into_body().collect().await.unwrap().to_bytes();

    match fate {
        Bad => assert_eq!(status, 502, "{name}"),
        Passes(expected, body) => {
            assert_eq!((status, &*whole.unwrap()), (expected, body.as_bytes()), "{name}");
        }
        CutOff(_) => assert!(status == 200 && whole.is_err(), "{name}"),
    }
    assert_eq!(next, "next", "{name}");
}

#[tokio::test]
async fn an_answer_has_one_reading_or_none_and_the_next_is_the_next() {
    let mut table = Table::default();
    for (name, answer, fate) in ANSWERS {
        let upstream = answering(answer).await;
        table.row(name, hears(name, &to(&upstream), fate)).await;
    }
    table.end();
}

#[tokio::test]
async fn over_http_2_it_has_the_same_reading() {
    let mut table = Table::default();
    for (name, answer, fate) in ANSWERS {
        let upstream = answering(answer).await;
        table.row(name, hears_over_http2(name, &to(&upstream), fate)).await;
    }
    table.end();
}

#[tokio::test]
async fn an_answer_to_a_head_has_no_body_whatever_comes() {
    for framing in ["content-length: 4", "transfer-encoding: chunked", "content-length: 45"] {
        let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
        let upstream = answering(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{evil}")).await;
        let gateway = to(&upstream);
        let mut client = Connection::open(gateway.address()).await;

        client.write("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200, "{framing}");
        client.write(ASK_NEXT).await;
        let next = client.response().await;

        assert_eq!((next.status, next.body.as_str()), (200, "next"), "{framing}");
    }
}

/// An upstream that says something more when it is told to, over a connection that nobody asks anything of; it tells when
/// the connection ends.
async fn saying_more(
    more: &'static str,
) -> (Upstream, mpsc::UnboundedSender<()>, mpsc::UnboundedReceiver<()>) {
    let (go, gone) = mpsc::unbounded_channel();
    let (tell, ended) = mpsc::unbounded_channel();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let upstream = Upstream::serving(move |mut socket, seen| {
        let (gone, tell) = (gone.clone(), tell.clone());
        async move {
            while let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                socket.write_all(NEXT.as_bytes()).await.ok();
                let first = gone.lock().unwrap().take();
                if let Some(mut gone) = first {
                    gone.recv().await;
                    socket.write_all(more.as_bytes()).await.ok();
                    socket.read_u8().await.unwrap_err();
                    tell.send(()).ok();
                    return;
                }
            }
        }
    })
    .await;
    (upstream, go, ended)
}

#[tokio::test]
async fn what_comes_over_a_connection_that_rests_is_no_answer() {
    for more in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\0",
        "\r\n",
    ] {
        let (upstream, go, mut ended) = saying_more(more).await;
        let gateway = to(&upstream);
        let mut client = Connection::open(gateway.address()).await;
        client.write(ASK_NEXT).await;
        assert_eq!(client.response().await.body, "next");

        go.send(()).unwrap();
        ended.recv().await.unwrap();
        client.write(ASK_NEXT).await;
        let answer = client.response().await;

        assert_eq!((answer.status, answer.body.as_str()), (200, "next"), "{more:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_to_its_end_is_given_up() {
    let large = "HTTP/1.1 200 OK\r\nx-a: ".to_owned() + &"a".repeat(1 << 20);
    let many = "HTTP/1.1 200 OK\r\n".to_owned() + &"x-a: 1\r\n".repeat(20_000) + "\r\n";
    let reason = "HTTP/1.1 200 ".to_owned() + &"a".repeat(1 << 20);
    for (name, answer) in [("large", large), ("many", many), ("reason", reason)] {
        let upstream = answering(answer).await;
        let gateway = to(&upstream);

        let answer =
            exchange(gateway.address(), "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await;

        assert_eq!(answer.status, 502, "{name}: {}", answer.head);
    }
}

#[tokio::test]
async fn answers_on_their_way_do_not_keep_a_client_for_ever() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        let Some(_) = read_request(&mut socket).await else { return };
        while socket.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await.is_ok() {}
    })
    .await;
    let gateway = gateway(&format!(
        "upstream.a = {{ timeouts = {{ response_header = '300ms' }}, replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}, {{ path = '/here', respond = {{ status = 204 }} }}]",
        upstream.address()
    ));
    let mut client = Connection::open(gateway.address()).await;
    let mut other = Connection::open(gateway.address()).await;

    client.write(ASK).await;
    let answer = client.response();
    let others = async {
        // The one worker serves the others meanwhile.
        for _ in 0..10 {
            other.write("GET /here HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(other.head().await.status, 204);
        }
    };
    let (answer, ()) = tokio::join!(answer, others);

    assert_eq!(answer.status, 504, "{}", answer.head);
}

/// An upstream of HTTP/2 that answers the first request with these frames, and any other rightly.
async fn framing(answer: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    let asked = Arc::new(Mutex::new(false));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(frames(socket, answer.clone(), asked.clone()));
        }
    });
    address
}

async fn frames(socket: TcpStream, answer: Arc<impl Fn(u32) -> Vec<u8>>, asked: Arc<Mutex<bool>>) {
    let Some(mut peer) = Frames::accept(socket).await else { return };
    while let Some(frame) = peer.next().await {
        if frame.kind != Frames::HEADERS {
            continue;
        }
        let first = !std::mem::replace(&mut *asked.lock().unwrap(), true);
        if first {
            peer.write(&answer(frame.stream)).await;
            continue;
        }
        peer.head(frame.stream, &[(b":status", b"200")], 0).await;
        peer.frame(Frames::DATA, Frames::END_STREAM, frame.stream, b"next").await;
    }
}

fn head(stream: u32, fields: &[(&[u8], &[u8])], flags: u8) -> Vec<u8> {
    let block = block(fields);
    bytes(Frames::HEADERS, Frames::END_HEADERS | flags, stream, &block)
}

fn data(stream: u32, data: &[u8], flags: u8) -> Vec<u8> {
    bytes(Frames::DATA, flags, stream, data)
}

type Answer = Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>;

/// An answer of a status, these fields, and a body of two bytes.
fn of(fields: &'static [(&'static [u8], &'static [u8])]) -> Answer {
    Box::new(move |stream| [head(stream, fields, 0), data(stream, b"ok", 1)].concat())
}

#[tokio::test]
async fn an_answer_of_http_2_has_one_reading_or_none() {
    let answers: [(&str, Answer, Fate); 14] = [
        (
            "nothing wrong",
            of(&[(b":status", b"200"), (b"content-length", b"2")]),
            Passes(200, "ok"),
        ),
        ("no status", of(&[(b"x-a", b"1")]), Bad),
        ("two", of(&[(b":status", b"200"), (b":status", b"201")]), Bad),
        ("one that is no number", of(&[(b":status", b"2x0")]), Bad),
        ("one behind a field", of(&[(b"x-a", b"1"), (b":status", b"200")]), Bad),
        ("chunks", of(&[(b":status", b"200"), (b"transfer-encoding", b"chunked")]), Bad),
        ("a nomination", of(&[(b":status", b"200"), (b"connection", b"x-a")]), Bad),
        ("CR LF", of(&[(b":status", b"200"), (b"x-a", b"1\r\n\r\nHTTP/1.1 200 OK")]), Bad),
        ("CR LF in a name", of(&[(b":status", b"200"), (b"x-a: 1\r\nx-b", b"1")]), Bad),
        ("a large letter", of(&[(b":status", b"200"), (b"X-a", b"1")]), Bad),
        ("a path", of(&[(b":status", b"200"), (b":path", b"/")]), Passes(200, "ok")),
        ("a body before its head", Box::new(|stream| data(stream, b"ok", 1)), Bad),
        (
            "a body of another length",
            of(&[(b":status", b"200"), (b"content-length", b"3")]),
            CutOff("ok"),
        ),
        (
            "two lengths",
            of(&[(b":status", b"200"), (b"content-length", b"2"), (b"content-length", b"3")]),
            Bad,
        ),
    ];
    let mut table = Table::default();
    for (name, answer, fate) in answers {
        let upstream = framing(answer).await;
        table.row(name, hears_from_http2(name, upstream, fate)).await;
    }
    table.end();
}

async fn hears_from_http2(name: &str, upstream: SocketAddr, fate: Fate) {
    let gateway = gateway(&format!(
        "upstream.a = {{ http_version = '2', replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ));
    let mut client = Connection::open(gateway.address()).await;
    client.write(ASK).await;

    match fate {
        Bad => assert_eq!(client.response().await.status, 502, "{name}"),
        Passes(status, body) => {
            let answer = client.response().await;
            let body_of = dechunk(&answer.body).map_or(answer.body, |(body, _)| body);
            assert_eq!((answer.status, body_of.as_str()), (status, body), "{name}");
        }
        CutOff(body) => {
            let rest = client.rest().await;
            let answer = Response::parse(&rest);
            // What is not over may not even have begun.
            assert!(rest.is_empty() || answer.status == 200, "{name}");
            assert!(body.starts_with(&answer.body), "{name}: {answer:?}");
            client = Connection::open(gateway.address()).await;
        }
    }
    client.write(ASK_NEXT).await;
    let next = dechunk(client.response().await.body);
    assert_eq!(next, Some(("next".to_owned(), vec![])), "{name}");
}
