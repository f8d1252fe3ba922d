use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
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
