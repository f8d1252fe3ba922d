//! Bodies of requests that go from socket to socket arrive to the byte, or not at all, and leave nothing behind.

use std::net::SocketAddr;

use portcullis_tests::{Connection, InProcess, Upstream, gateway};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::bodies::body;

const MIB: u64 = 1 << 20;

fn to(upstream: SocketAddr) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ))
}

/// Says of each body whether it is what was sent, and how long it is; of one for `/early/<bytes>` it takes so many bytes,
/// says that it is too large and closes, of one for `/gone/<bytes>` it closes without a word. Tells of each connection what
/// came that is not whole: how many bytes of a body, or none if they are others.
async fn upstream() -> (Upstream, mpsc::UnboundedReceiver<Option<u64>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listening(listener)
}

fn listening(listener: TcpListener) -> (Upstream, mpsc::UnboundedReceiver<Option<u64>>) {
    let (broken, breaks) = mpsc::unbounded_channel();
    let upstream = Upstream::listening(listener, move |socket, _| {
        let broken = broken.clone();
        async move {
            let mut socket = BufReader::new(socket);
            while let Some((path, length)) = head(&mut socket).await {
                let path: Vec<&str> = path.split('/').skip(1).collect();
                let most = path.get(1).map_or(length, |most| most.parse().unwrap());
                let came = take(&mut socket, most).await;
                let right = body(u64::try_from(came.len()).unwrap()) == came;
                let whole = u64::try_from(came.len()).unwrap() == most;
                if !whole {
                    broken.send(right.then_some(u64::try_from(came.len()).unwrap())).ok();
                    return;
                }
                let said = format!("{right} {}", came.len());
                let status = if path[0] == "early" { "413 Content Too Large" } else { "200 OK" };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{said}", said.len());
                match path[0] {
                    "gone" => return,
                    _ if socket.write_all(answer.as_bytes()).await.is_err() => return,
                    "early" => return,
                    _ => {}
                }
            }
        }
    });
    (upstream, breaks)
}

/// The path of the next request, and how long its body is.
async fn head(socket: &mut BufReader<TcpStream>) -> Option<(String, u64)> {
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        head.push_str(&line);
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((path, length.map_or(0, |length| length.parse().unwrap())))
}

/// As much of so many bytes as comes.
async fn take(socket: &mut BufReader<TcpStream>, most: u64) -> Vec<u8> {
    let mut came = Vec::new();
    drop((&mut *socket).take(most).read_to_end(&mut came).await);
    came
}

fn head_of(path: &str, length: u64) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
}

fn upload(length: u64) -> Vec<u8> {
    [head_of("/", length).as_bytes(), &body(length)].concat()
}

async fn arrives(client: &mut Connection, length: u64) {
    assert_eq!(client.response().await.body, format!("true {length}"));
}

const LENGTHS: [u64; 9] = [5 * MIB, 13, 65_537, 0, MIB, 81_920, 200_000, 3 * MIB + 1, 7];

#[tokio::test]
async fn large_and_small_uploads_follow_each_other_over_one_connection() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;

    for length in LENGTHS {
        client.write(upload(length)).await;
        arrives(&mut client, length).await;
    }
    for length in LENGTHS {
        client.write(head_of("/", length)).await;
        client.write(body(length)).await;
        arrives(&mut client, length).await;
    }
}

/// What follows a body is the next request's, however it comes.
#[tokio::test]
async fn uploads_that_are_sent_all_at_once_stay_apart() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let (mut reader, mut writer) =
        TcpStream::connect(gateway.address()).await.unwrap().into_split();

    let sending = tokio::spawn(async move {
        writer.write_all(&LENGTHS.map(upload).concat()).await.map(|()| writer)
    });
    let mut said = Vec::new();
    let last = format!("true {}", LENGTHS[LENGTHS.len() - 1]);
    while !said.ends_with(format!("\r\n\r\n{last}").as_bytes()) {
        assert!(reader.read_buf(&mut said).await.unwrap() > 0, "{}", said.len());
    }
    // Until here: a client that ends its side has left.
    drop(sending.await.unwrap().unwrap());

    let said = String::from_utf8(said).unwrap();
    let bodies = said.split("HTTP/1.1 200 OK").skip(1);
    let bodies: Vec<_> = bodies.map(|one| one.split("\r\n\r\n").nth(1).unwrap()).collect();
    assert_eq!(bodies, LENGTHS.map(|length| format!("true {length}")));
}

#[tokio::test]
async fn many_clients_at_once_upload_each_its_own() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let address = gateway.address();
            tokio::spawn(async move {
                let mut client = Connection::open(address).await;
                for turn in 0..4 {
                    let length = 100_000 * (1 + (number + turn) % 7);
                    client.write(upload(length)).await;
                    arrives(&mut client, length).await;
                }
            })
        })
        .collect();

    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_sends_a_little_at_a_time_and_an_upstream_that_takes_a_little_lose_nothing() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (upstream, _) = listening(socket.listen(16).unwrap());
    let gateway = to(upstream.address());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let stream = socket.connect(gateway.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut client = Connection::over(stream);

    for piece in [1, 7, 1000, 30_000] {
        let length = 70_000 + 20 * u64::try_from(piece).unwrap();
        client.write(head_of("/", length)).await;
        let sent = body(length);
        let (first, rest) = sent.split_at(20 * piece);
        for piece in first.chunks(piece) {
            client.write(piece).await;
            tokio::task::yield_now().await;
        }
        client.write(rest).await;
        arrives(&mut client, length).await;
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told_and_its_upload_arrives() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;

    for length in [3 * MIB, 100_000] {
        let expect = head_of("/", length).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        client.write(expect).await;
        assert!(client.head().await.head.starts_with("HTTP/1.1 100 "));
        client.write(body(length)).await;
        arrives(&mut client, length).await;
    }
}

/// How the answer begins to a large upload that nobody reads to its end, and that is sent to its end all the same.
async fn said_to_an_upload(gateway: &InProcess, path: &str) -> [u8; 12] {
    let (mut reader, mut writer) =
        TcpStream::connect(gateway.address()).await.unwrap().into_split();
    let head = head_of(path, 8 * MIB);
    let sending = tokio::spawn(async move {
        drop(writer.write_all(head.as_bytes()).await);
        drop(writer.write_all(&body(8 * MIB)).await);
        writer
    });
    let mut said = [0; 12];
    reader.read_exact(&mut said).await.unwrap();
    sending.await.unwrap();
    said
}

/// What others upload after one that went wrong is what they sent.
async fn others_arrive(gateway: &InProcess) {
    let mut next = Connection::open(gateway.address()).await;
    for length in [200_000, 13, 2 * MIB] {
        next.write(upload(length)).await;
        arrives(&mut next, length).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_its_upload_leaves_no_byte_for_another() {
    let (upstream, mut breaks) = upstream().await;
    let gateway = to(upstream.address());

    for sent in [1, 20_000, 300_000, 2 * MIB] {
        let mut client = Connection::open(gateway.address()).await;
        client.write(head_of("/", 64 * MIB)).await;
        client.write(body(sent)).await;
        drop(client);
        let came = breaks.recv().await.unwrap().expect("other bytes");

        assert!(came <= sent, "{came} of {sent}");
        others_arrive(&gateway).await;
    }
}

#[tokio::test]
async fn an_upstream_that_closes_in_an_upload_fails_it_and_no_other() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());

    for taken in [0, 1000, 600_000] {
        let said = said_to_an_upload(&gateway, &format!("/gone/{taken}")).await;

        assert_eq!(&said, b"HTTP/1.1 502");
        others_arrive(&gateway).await;
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_reaches_a_client_that_still_sends() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());

    for taken in [0, 1000, 600_000] {
        let said = said_to_an_upload(&gateway, &format!("/early/{taken}")).await;

        assert_eq!(&said, b"HTTP/1.1 413");
    }
}

/// A body that is kept for another attempt is read, and one that is not goes on only if nothing of it has gone.
#[tokio::test]
async fn an_upload_that_one_replica_cannot_take_arrives_at_the_other() {
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (upstream, _) = upstream().await;
    let gateway = gateway(&format!(
        "route = [{{ path = '/', upstream = 'a' }}]
         [upstream.a]
         replica = [{{ name = 'a', url = 'http://{away}' }}, {{ name = 'b', url = 'http://{}' }}]
         failover = {{ order = 'priority', max_replay = '1MiB' }}",
        upstream.address()
    ));
    let mut client = Connection::open(gateway.address()).await;

    for length in [100_000, MIB, MIB + 1, 3 * MIB] {
        client.write(upload(length)).await;
        arrives(&mut client, length).await;
    }
}
