use std::io;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// Serves the folders of `root` as buckets, to those who sign with these keys.
pub(super) fn service(
    root: &Path,
    access_key: &str,
    secret_key: &str,
) -> io::Result<impl FnOnce(TcpListener) -> Serving> {
    let files = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    let service = builder.build();
    Ok(move |listener: TcpListener| -> Serving {
        Box::pin(async move {
            let protocol = auto::Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                // Else the last piece of a body waits for the acknowledgement of the first.
                let _ = socket.set_nodelay(true);
                let connection = protocol.serve_connection(TokioIo::new(socket), service.clone());
                let connection = connection.into_owned();
                tokio::spawn(async move {
                    // A client that leaves is no news to a demo.
                    let _ = connection.await;
                });
            }
        })
    })
}

type Serving = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
