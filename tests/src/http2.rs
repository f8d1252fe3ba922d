use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A body of a response of [`Http2`].
pub type Boxed = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// A body of these bytes.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Boxed {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// An upstream that speaks HTTP/2 with prior knowledge, and answers as the test says.
#[derive(Debug)]
pub struct Http2 {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Http2 {
    /// Answers by `serve`, and takes so many requests at once on a connection.
    pub async fn serving<S, F>(streams: u32, serve: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Boxed>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut probe = [0];
                // A probe closes without a byte.
                if !matches!(socket.peek(&mut probe).await, Ok(1)) {
                    continue;
                }
                count.fetch_add(1, Relaxed);
                let serve = serve.clone();
                let service = service_fn(move |request| {
                    let answer = serve(request);
                    async move { Ok::<_, std::convert::Infallible>(answer.await) }
                });
                let mut protocol = http2::Builder::new(TokioExecutor::new());
                protocol.max_concurrent_streams(streams);
                tokio::spawn(protocol.serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { address, connections, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections carried a request.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}
