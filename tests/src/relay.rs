use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::read_request;

/// Stands in front of a server, at an address that stays, and passes everything on: or does worse.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

/// What a [`Relay`] does with connections, those included that are open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Way {
    /// Passes them on.
    Through,
    /// Takes them, and what comes over them, and says nothing.
    Nowhere,
    /// Answers every request with 500.
    Failing,
}

impl Relay {
    /// A relay in front of `to`, which passes everything on.
    pub async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way::Through);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(serve(socket, to, ways.clone()));
            }
        });
        Self { address, way, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes another way from now on. Connections that were passed on so far are closed, unless they go nowhere from now on.
    pub fn go(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, to: SocketAddr, mut ways: watch::Receiver<Way>) {
    let way = *ways.borrow_and_update();
    match way {
        Way::Through => {
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            server.set_nodelay(true).unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut socket, &mut server) => return,
                () = leave(&mut ways, Way::Through) => {}
            }
            if *ways.borrow() == Way::Nowhere {
                leave(&mut ways, Way::Nowhere).await;
            }
        }
        Way::Nowhere => leave(&mut ways, Way::Nowhere).await,
        Way::Failing => {
            while read_request(&mut socket).await.is_some() && *ways.borrow() == Way::Failing {
                let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
                if socket.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until it goes another way than this.
async fn leave(ways: &mut watch::Receiver<Way>, this: Way) {
    // Without a relay there is no way at all.
    drop(ways.wait_for(|way| *way != this).await);
}
