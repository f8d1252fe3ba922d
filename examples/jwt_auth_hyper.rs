//! A server of hyper's own that greets whom a token is about.
use std::{convert::Infallible, error::Error};

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use portcullis_jwt_auth::{Algorithm, Claims, Issuer, JwtAuthLayer, Key, Policy};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

const SECRET: &[u8] = b"thirty-two bytes, or it is refused";

async fn greet<B>(request: Request<B>) -> Result<Response<String>, Infallible> {
    let claims = request.extensions().get::<Claims>();
    let subject = claims.and_then(Claims::subject);
    Ok(Response::new(format!("hello, {}\n", subject.unwrap_or("you"))))
}

async fn serve(tcp: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256])?]).audience(["greeter"]);
    // One layer, so that all connections share the tokens that it remembers.
    let service = JwtAuthLayer::new(Policy::new(), [issuer])?.layer(service_fn(greet));
    loop {
        let (stream, _) = tcp.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let protocol = auto::Builder::new(TokioExecutor::new());
            protocol.serve_connection(TokioIo::new(stream), service).await
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    serve(TcpListener::bind("127.0.0.1:3000").await?).await
}

#[cfg(test)]
#[tokio::test]
async fn the_subject_is_greeted_and_a_stranger_is_not() {
    use http_body_util::BodyExt;
    use jsonwebtoken::{EncodingKey, Header, encode};

    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let claims = serde_json::json!({ "sub": "alice", "aud": "greeter", "exp": u32::MAX });
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", tcp.local_addr().unwrap());
    tokio::spawn(serve(tcp));
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(&url).header("authorization", format!("Bearer {token}"));
    let greeted = client.request(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(greeted.collect().await.unwrap().to_bytes(), "hello, alice\n");
    assert_eq!(client.get(url.parse().unwrap()).await.unwrap().status(), 401);
}
