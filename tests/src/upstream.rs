use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// An upstream of raw bytes: it shows what reached it, to the byte, and answers as the test says.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Recorded>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

/// A request as it was on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// Request line and headers, without the empty line.
    pub head: String,
    /// The body as it was framed, chunk sizes and all.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The request line.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a header, in their order.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        header(&self.head, name)
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

impl Upstream {
    /// Reads each request whole, answers it with `answer` (the bytes of a response, or of several pieces
    /// of it), and keeps the connection.
    pub async fn answering(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::serving(move |mut socket, seen| {
            let answer = answer.clone();
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    seen.send(request).ok();
                    if socket.write_all((*answer).as_ref()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Answers the first request with the first of `answers`, the second with the second, over whatever
    /// connections they come; one for which none is left is answered by closing.
    pub async fn answering_in_turn<const N: usize>(answers: [&'static str; N]) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        Self::serving(move |mut socket, seen| {
            let answers = answers.clone();
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    seen.send(request).ok();
                    let Some(answer) = answers.lock().unwrap().next() else { return };
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Gives each connection to `serve`, with where to tell of requests.
    pub async fn serving<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream, mpsc::UnboundedSender<Recorded>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
    }

    /// As [`Upstream::serving`], at a socket that there is.
    pub fn listening<F, S>(listener: TcpListener, serve: S) -> Self
    where
        S: Fn(TcpStream, mpsc::UnboundedSender<Recorded>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(Mutex::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                *count.lock().unwrap() += 1;
                tokio::spawn(serve(socket, seen.clone()));
            }
        });
        Self { address, requests, connections, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that reached it.
    pub async fn seen(&mut self) -> Recorded {
        self.requests.recv().await.expect("a request that reached the upstream")
    }

    /// Whether anything reached it that [`Upstream::seen`] has not told of.
    pub fn saw_nothing(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// How many connections were made to it, probes included.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request to the end of its body; none when the connection ends before.
pub async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<Recorded> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    head.truncate(head.len() - 4);
    let head = String::from_utf8_lossy(&head).into_owned();
    let chunked = header(&head, "transfer-encoding").contains(&"chunked");
    let length =
        header(&head, "content-length").first().map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    while chunked && !ends_last_chunk(&body) {
        body.push(socket.read_u8().await.ok()?);
    }
    Some(Recorded { head, body })
}

/// Whether a chunked body has come to the empty line after its last chunk and its trailers.
fn ends_last_chunk(body: &[u8]) -> bool {
    body.ends_with(b"\r\n\r\n")
        && (body.starts_with(b"0\r\n") || body.windows(5).any(|window| window == b"\r\n0\r\n"))
}

/// An address that is taken, and where nobody listens: connections are refused.
#[derive(Debug)]
pub struct Nowhere {
    socket: TcpSocket,
}

impl Nowhere {
    /// Takes an address.
    #[must_use]
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { socket }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Listens there after all.
    #[must_use]
    pub fn listen(self) -> TcpListener {
        self.socket.listen(16).unwrap()
    }
}
