//! A check of one's own that refuses in the words of whoever asks, gRPC included, and says why to the log.
use std::io;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, map_response};
use axum::{Router, response::Response, routing::get};
use portcullis_refusal::{Dialect, Refusal, Refused};
use tokio::net::TcpListener;

async fn open_hours(request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-at-night") {
        let dialect = Dialect::of(request.headers());
        let closed = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "closed", "come back tomorrow");
        return closed.into_response(dialect, Body::empty());
    }
    next.run(request).await
}

/// What stands above finds the reason, whoever refused: here it becomes a header.
async fn tell(mut response: Response) -> Response {
    if let Some(refused) = response.extensions().get::<Refused>() {
        let reason = HeaderValue::from_static(refused.reason());
        response.headers_mut().insert("x-reason", reason);
    }
    response
}

fn app() -> Router {
    Router::new().route("/", get("hello")).layer(from_fn(open_hours)).layer(map_response(tell))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app()).await
}

#[cfg(test)]
#[tokio::test]
async fn a_client_of_grpc_is_refused_in_its_own_words() {
    use tower::ServiceExt;

    for (kind, status, grpc) in [("text/plain", 503, None), ("application/grpc", 200, Some("14"))] {
        let request = Request::get("/").header("x-at-night", "").header("content-type", kind);
        let refused = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();

        assert_eq!(refused.status(), status);
        let told = refused.headers().get("grpc-status").map(|status| status.to_str().unwrap());
        assert_eq!(told, grpc);
        assert_eq!(refused.headers()["x-reason"], "closed");
    }
}
