use std::net::SocketAddr;

use hyper::body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::upstream::header;

/// A response as it was on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line and headers, without the empty line.
    pub head: String,
    /// All that came after, as it was framed, chunk sizes and all.
    pub body: String,
}

impl Response {
    /// Takes the bytes of a connection apart.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The values of a header, in their order.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        header(&self.head, name)
    }
}

/// Sends bytes over a new connection, and reads until the other side closes it.
pub async fn send(to: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(bytes.as_ref()).await.unwrap();
    read_to_end(&mut socket).await
}

/// Sends a request over a new connection, which must ask to be closed, and reads the response.
pub async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    Response::parse(&send(to, request).await)
}

/// Sends a request without a body over a new connection: `GET /path`, and whole header lines.
pub async fn ask(to: SocketAddr, what: &str, headers: &[&str]) -> Response {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{what} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n");
    exchange(to, format!("{head}{headers}\r\n")).await
}

/// Connects by HTTP/2, with prior knowledge.
pub async fn http2<B>(to: SocketAddr) -> http2::SendRequest<B>
where
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    http2_over(TcpStream::connect(to).await.unwrap()).await
}

/// Speaks HTTP/2 over a connection that there is.
pub async fn http2_over<I, B>(io: I) -> http2::SendRequest<B>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    let socket = TokioIo::new(io);
    let (client, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    // Whoever waits for a response hears of the error, too.
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// Gets a path over a new connection.
pub async fn get(to: SocketAddr, path: &str) -> Response {
    exchange(to, format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n"))
        .await
}

/// Reads until the other side closes, or resets: what came before counts.
pub async fn read_to_end(socket: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        bytes.extend(buffer.iter().take(read));
    }
    bytes
}

/// A connection that carries one exchange after another.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    socket: BufReader<S>,
}

impl Connection {
    /// Opens a connection.
    pub async fn open(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Speaks over a connection that there is.
    pub fn over(socket: S) -> Self {
        Self { socket: BufReader::new(socket) }
    }

    /// The socket, of which nothing may have been read ahead.
    pub fn into_inner(self) -> S {
        self.socket.into_inner()
    }

    /// Sends bytes.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
        self.socket.flush().await.unwrap();
    }

    /// Reads the head of a response.
    pub async fn head(&mut self) -> Response {
        Response::parse(&self.until(b"\r\n\r\n").await)
    }

    /// Reads exactly so many bytes.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.socket.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Reads what is there, or comes next; nothing when the other side has closed, or reset.
    pub async fn some(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        let read = self.socket.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// Reads a response whose end its own head tells, by a length or by chunks.
    pub async fn response(&mut self) -> Response {
        let head = self.head().await;
        let length = head.header("content-length").first().map(|length| length.parse().unwrap());
        let body = match length {
            Some(length) => self.take(length).await,
            None if head.header("transfer-encoding").is_empty() => Vec::new(),
            None => self.chunks().await,
        };
        Response { body: String::from_utf8_lossy(&body).into_owned(), ..head }
    }

    /// Reads until the other side closes, or resets.
    pub async fn rest(&mut self) -> Vec<u8> {
        read_to_end(&mut self.socket).await
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let line = self.until(b"\r\n").await;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next().unwrap(), 16).unwrap();
            bytes.extend(line);
            if size > 0 {
                bytes.extend(self.take(size + 2).await);
                continue;
            }
            let mut trailer = self.until(b"\r\n").await;
            while trailer != b"\r\n" {
                bytes.extend(trailer);
                trailer = self.until(b"\r\n").await;
            }
            bytes.extend(trailer);
            return bytes;
        }
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.push(self.socket.read_u8().await.expect("a response that ends"));
        }
        bytes
    }
}

/// What a chunked body says, and the lines of its trailers; none if it is not complete.
#[must_use]
pub fn dechunk(body: impl AsRef<[u8]>) -> Option<(String, Vec<String>)> {
    let text = String::from_utf8_lossy(body.as_ref()).into_owned();
    let mut rest = text.as_str();
    let mut said = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        if size == 0 {
            let trailers = after.strip_suffix("\r\n")?;
            return Some((said, trailers.lines().map(str::to_owned).collect()));
        }
        said.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
