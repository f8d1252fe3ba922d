use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;

use crate::upstream::{Recorded, Upstream, read_request};

/// An upstream that makes an echo of each connection that asks to become `protocol`, and answers all others with `ok`.
/// When its client closes, it says `bye`, and closes.
pub async fn echoing(protocol: &'static str) -> Upstream {
    Upstream::serving(move |mut socket, seen| async move {
        while let Some(request) = read_request(&mut socket).await {
            let asked = request.header("upgrade") == [protocol];
            let key = request.header("sec-websocket-key").first().map(|key| accept(key));
            seen.send(request).ok();
            if !asked {
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                socket.write_all(ok).await.ok();
                continue;
            }
            let mut head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade, x-hop\r\nx-hop: 1\r\nupgrade: {protocol}\r\n"
            );
            if let Some(key) = key {
                head += &format!("sec-websocket-accept: {key}\r\nsec-websocket-protocol: chat\r\n");
            }
            socket.write_all((head + "\r\n").as_bytes()).await.ok();
            let (mut from, mut to) = socket.split();
            copy(&mut from, &mut to).await.ok();
            to.write_all(b"bye").await.ok();
            return;
        }
    })
    .await
}

fn accept(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest.finalize())
}

/// A request to become `protocol`, with more whole header lines.
#[must_use]
pub fn upgrade(target: &str, protocol: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nhost: gateway.test\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n{more}\r\n"
    )
}

/// A client of WebSocket that says one word at a time.
#[derive(Debug)]
pub(crate) struct Words(TcpStream);

/// What came of a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It came back.
    Echo,
    /// The other side is going away, and says so (RFC 6455 §7.4.1).
    Goodbye,
}

impl Words {
    pub(crate) async fn open(to: SocketAddr, target: &str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to).await?;
        let key = "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        socket.write_all(upgrade(target, "websocket", key).as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        match head.starts_with(b"HTTP/1.1 101 ") {
            true => Ok(Self(socket)),
            false => Err(io::Error::other(String::from_utf8_lossy(&head).into_owned())),
        }
    }

    /// Says a word of four letters; an error if the connection ends without a goodbye.
    pub(crate) async fn say(&mut self, word: [u8; 4]) -> io::Result<Answer> {
        self.0.write_all(&[&[TEXT, MASKED | 4, 0, 0, 0, 0], &word[..]].concat()).await?;
        let mut frame = [0; 2];
        self.0.read_exact(&mut frame).await?;
        if frame == [CLOSE, 2] && self.0.read_u16().await? == GOING_AWAY {
            return Ok(Answer::Goodbye);
        }
        let mut echo = [0; 4];
        self.0.read_exact(&mut echo).await?;
        match frame == [TEXT, 4] && echo == word {
            true => Ok(Answer::Echo),
            false => Err(io::Error::other(format!("{frame:?} {echo:?}"))),
        }
    }

    /// Closes, as an answer or by itself.
    pub(crate) async fn close(mut self) {
        // Who has gone already needs no farewell.
        self.0.write_all(&[CLOSE, MASKED | 2, 0, 0, 0, 0, 3, 232]).await.ok();
    }
}

/// Makes an echo of a connection that has asked for that, until its client closes.
pub(crate) async fn echo_words(socket: &mut TcpStream, request: &Recorded) -> io::Result<()> {
    let key =
        request.header("sec-websocket-key").first().map_or_else(String::new, |key| accept(key));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {key}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    loop {
        let mut frame = [0; 6];
        socket.read_exact(&mut frame).await?;
        if frame[0] == CLOSE {
            return socket.write_all(&[CLOSE, 2, 3, 232]).await;
        }
        let mut word = [0; 4];
        socket.read_exact(&mut word).await?;
        socket.write_all(&[&[TEXT, 4], &word[..]].concat()).await?;
    }
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;
const GOING_AWAY: u16 = 1001;
