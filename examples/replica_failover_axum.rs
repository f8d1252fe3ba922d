//! Passes requests on to two stores; what the first cannot serve goes to the second.
use axum::http::{StatusCode, Uri, header::HOST};
use axum::{Router, body::Body, extract::Request, response::Response};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use portcullis_replica_failover::{Reason, ReplayBody, Replica, ReplicaFailoverLayer, Verdict};
use tower::{Layer, ServiceExt};

type Sent = Request<ReplayBody<Body>>;

fn app(stores: [String; 2]) -> Router {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let replica = |address: String| {
        let name = address.clone();
        let to_store = move |mut request: Sent| {
            let uri = format!("http://{address}{}", request.uri());
            *request.uri_mut() = Uri::try_from(uri).unwrap_or_default();
            request.headers_mut().remove(HOST); // it names this gateway
            request
        };
        let client = client.clone().map_response(|response: Response<_>| response.map(Body::new));
        Replica::new(name, client.map_request(to_store))
    };
    // Without a connection, a store has seen nothing: then a POST goes on, too.
    let layer = ReplicaFailoverLayer::default().classify(|error: &Error| {
        if error.is_connect() {
            Verdict::unsent(Reason::Connect)
        } else {
            Verdict::failed(Reason::Reset)
        }
    });
    let stores = layer.layer(stores.map(replica).into());
    Router::new().fallback(async move |request: Request| {
        stores.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(["127.0.0.1:9000", "127.0.0.1:9001"].map(str::to_owned))).await
}

#[cfg(test)]
#[tokio::test]
async fn an_upload_to_a_dead_store_ends_in_the_other_one() {
    let bind = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dead, listener) = (bind().await.local_addr().unwrap(), bind().await);
    let alive = listener.local_addr().unwrap();
    let store = Router::new().fallback(async |body: String| format!("stored {body}"));
    tokio::spawn(async move { axum::serve(listener, store).await });

    let upload = Request::post("/photos/cat.jpg").body(Body::from("a cat")).unwrap();
    let app = app([dead.to_string(), alive.to_string()]);
    let response = app.oneshot(upload).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 64).await.unwrap();
    assert_eq!(body, "stored a cat");
}
