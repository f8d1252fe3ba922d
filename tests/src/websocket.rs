use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncWriteExt, copy};

use crate::upstream::{Upstream, read_request};

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
