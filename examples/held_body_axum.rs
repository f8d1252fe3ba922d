//! A server that knows how many downloads are under way, to the last byte of each.
use std::{io, sync::Arc};

use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use portcullis_held_body::HeldBody;
use tokio::net::TcpListener;

/// Each clone but the first is a download.
type Downloads = Arc<()>;

async fn download(State(downloads): State<Downloads>) -> Response {
    let body = Body::from("a large file");
    Response::new(Body::new(HeldBody::new(body, downloads)))
}

fn app(downloads: &Downloads) -> Router {
    Router::new().route("/file", get(download)).with_state(downloads.clone())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app(&Downloads::default())).await
}

#[cfg(test)]
#[tokio::test]
async fn a_download_counts_until_it_is_read_or_given_up() {
    use axum::{body::to_bytes, http::Request};
    use tower::ServiceExt;

    let downloads = Downloads::default();
    let get = || {
        let request = Request::get("/file").body(Body::empty()).unwrap();
        app(&downloads).oneshot(request)
    };
    let (read, given_up) = (get().await.unwrap(), get().await.unwrap());
    assert_eq!(Arc::strong_count(&downloads), 3);

    to_bytes(read.into_body(), 100).await.unwrap();
    assert_eq!(Arc::strong_count(&downloads), 2);
    drop(given_up);
    assert_eq!(Arc::strong_count(&downloads), 1);
}
