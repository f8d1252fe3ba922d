//! An application that takes uploads of up to a kibibyte, chunked ones too.
use axum::Router;
use axum::body::Bytes;
use axum::routing::put;
use portcullis_request_guard::{Policy, RequestGuardLayer};

fn app() -> Router {
    let ceilings = Policy::ceilings().max_uri(256).max_body(1024);
    Router::new().route("/file", put(store)).layer(RequestGuardLayer::new(ceilings))
}

async fn store(file: Bytes) -> String {
    format!("{} bytes", file.len())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app()).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;

    use super::*;

    async fn upload(body: Body) -> StatusCode {
        let request = Request::put("/file").body(body).unwrap();
        app().oneshot(request).await.unwrap().status()
    }

    /// A body that does not say how large it is.
    fn chunked(size: usize) -> Body {
        Body::from_stream(Full::new(Bytes::from(vec![0; size])).into_data_stream())
    }

    #[tokio::test]
    async fn an_upload_is_too_large_whether_it_says_so_or_not() {
        assert_eq!(upload(Body::from(vec![0; 1024])).await, StatusCode::OK);
        assert_eq!(upload(chunked(1024)).await, StatusCode::OK);
        assert_eq!(upload(Body::from(vec![0; 1025])).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(upload(chunked(1025)).await, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_long_uri_is_refused() {
        let request = Request::get(format!("/{:256}", "").replace(' ', "x"));
        let response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();

        assert_eq!(response.status(), StatusCode::URI_TOO_LONG);
    }
}
