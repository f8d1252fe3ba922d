//! What the gateway signs, before an S3 server that checks it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use portcullis_tests::{InProcess, exchange, gateway};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ACCESS_KEY: &str = "AKTEST";
pub(crate) const SECRET_KEY: &str = "a secret key";

/// An S3 server with one bucket that takes nothing unsigned.
pub(crate) struct S3 {
    pub(crate) address: SocketAddr,
    files: TempDir,
    /// The `x-amz-content-sha256` of each request.
    seen: Arc<Mutex<Vec<String>>>,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        Self::knowing(ACCESS_KEY, SECRET_KEY).await
    }

    /// One that knows these keys alone.
    async fn knowing(access_key: &str, secret_key: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::create_dir(files.path().join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(files.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = service.build();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = seen.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, record) = (service.clone(), record.clone());
                let answer = service_fn(move |request: Request<Incoming>| {
                    let hash = request.headers().get("x-amz-content-sha256");
                    let hash = hash.map_or("", |hash| hash.to_str().unwrap());
                    record.lock().unwrap().push(hash.to_owned());
                    Service::call(&service, request)
                });
                let protocol = auto::Builder::new(TokioExecutor::new());
                let connection = protocol.serve_connection(TokioIo::new(socket), answer);
                tokio::spawn(connection.into_owned());
            }
        });
        Self { address, files, seen }
    }

    /// A gateway that signs bodies for it as `payload` says.
    fn behind(&self, payload: &str) -> InProcess {
        gateway(&format!(
            "credentials.k = {{ access_key = '{ACCESS_KEY}', secret_key = '{SECRET_KEY}' }}
             route = [{{ path = '/', upstream = 's3' }}]
             [upstream.s3]
             replica = [{{ name = 'a', url = 'http://{}' }}]
             [upstream.s3.sigv4_sign]
             service = 's3'
             region = 'us-east-1'
             credentials = 'k'
             unsigned_over_http = true
             payload = {payload}",
            self.address
        ))
    }

    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.files.path().join("bucket").join(key)).ok()
    }
}

/// Bytes of which no piece is like another.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn put(key: &str, length: usize) -> String {
    format!(
        "PUT /bucket/{key} HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_large_object_is_stored_whole_however_its_body_is_signed() {
    let s3 = S3::start().await;
    let body = noise((5 << 20) + 1);
    let signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let trailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    let unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let modes = [
        ("{ hash = '1MiB', larger = 'unsigned' }", "UNSIGNED-PAYLOAD"),
        ("{ hash = '1MiB', larger = 'streaming' }", signed),
        ("{ streaming = { chunk = '8KiB' } }", signed),
        ("{ streaming = { chunk = '16MiB' } }", signed),
        ("{ streaming = { checksum = 'crc32' } }", trailer),
        ("{ streaming = { checksum = 'crc32c' } }", trailer),
        ("{ streaming = { checksum = 'crc64nvme' } }", trailer),
        ("{ streaming = { checksum = 'sha1' } }", trailer),
        ("{ streaming = { checksum = 'sha256' } }", trailer),
        ("{ streaming = { signed = false, checksum = 'crc32' } }", unsigned),
        ("{ streaming = { signed = false, checksum = 'crc64nvme' } }", unsigned),
    ];
    for (index, (payload, name)) in modes.into_iter().enumerate() {
        let gateway = s3.behind(payload);
        let key = format!("key-{index}");
        let request = [put(&key, body.len()).as_bytes(), &body].concat();

        let response = exchange(gateway.address(), request).await;

        assert_eq!(response.status, 200, "{payload}: {}", response.body);
        assert!(s3.stored(&key).is_some_and(|stored| stored == body), "{payload}");
        assert_eq!(s3.seen.lock().unwrap().pop().as_deref(), Some(name), "{payload}");
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_not_stored() {
    let s3 = S3::start().await;
    for (index, payload) in
        ["'streaming'", "{ streaming = { signed = false, checksum = 'crc32' } }"]
            .into_iter()
            .enumerate()
    {
        let gateway = s3.behind(payload);
        let key = format!("key-{index}");
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(put(&key, 1 << 20).as_bytes()).await.unwrap();
        socket.write_all(&noise((1 << 20) - 1)).await.unwrap();
        socket.shutdown().await.unwrap();

        drop(portcullis_tests::read_to_end(&mut socket).await);
        assert_eq!(s3.stored(&key), None, "{payload}");
    }
}

#[tokio::test]
async fn an_upload_of_unknown_length_is_refused() {
    let s3 = S3::start().await;
    let gateway = s3.behind("'streaming'");
    let request = "PUT /bucket/key HTTP/1.1\r\nhost: gateway.test\r\ntransfer-encoding: chunked\r\n\
                   connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

    let response = exchange(gateway.address(), request).await;

    assert_eq!(response.status, 411, "{}", response.body);
    assert!(response.body.contains("MissingContentLength"), "{}", response.body);
    assert!(s3.seen.lock().unwrap().is_empty());
}

/// A gateway with a route and an upstream for each, signed for with the keys of this name.
fn before_both(one: &S3, two: &S3, keys: [&str; 2]) -> InProcess {
    let section = |(name, s3, keys): (&str, &S3, &str)| {
        format!(
            "[[route]]
             path = '/{name}'
             strip_prefix = true
             upstream = '{name}'
             [upstream.{name}]
             replica = [{{ name = 'a', url = 'http://{}' }}]
             sigv4_sign = {{ service = 's3', region = 'us-east-1', credentials = '{keys}' }}\n",
            s3.address
        )
    };
    let sections = [("one", one, keys[0]), ("two", two, keys[1])].map(section).concat();
    gateway(&format!(
        "credentials.one = {{ access_key = 'ONE', secret_key = 'the secret of one' }}
         credentials.two = {{ access_key = 'TWO', secret_key = 'the secret of two' }}
         {sections}"
    ))
}

#[tokio::test]
async fn no_route_signs_by_the_credentials_of_another() {
    let one = S3::knowing("ONE", "the secret of one").await;
    let two = S3::knowing("TWO", "the secret of two").await;
    let right = before_both(&one, &two, ["one", "two"]);
    let wrong = before_both(&one, &two, ["two", "one"]);
    let request = |route: &str, key: &str| {
        put(key, 5).replace("/bucket", &format!("/{route}/bucket")) + route + "!!"
    };

    for index in 0..20 {
        let key = format!("key-{index}");
        let both = [("one", &one), ("two", &two)];
        let [first, second] =
            both.map(|(route, _)| exchange(right.address(), request(route, &key)));
        let (first, second) = tokio::join!(first, second);
        for ((route, s3), response) in both.iter().zip([first, second]) {
            assert_eq!(response.status, 200, "{route}: {}", response.body);
            assert_eq!(s3.stored(&key), Some(format!("{route}!!").into_bytes()));
        }
    }
    for route in ["one", "two"] {
        let response = exchange(wrong.address(), request(route, "wrong")).await;

        assert_eq!(response.status, 502, "{}", response.body);
    }
    assert_eq!((one.stored("wrong"), two.stored("wrong")), (None, None));
}
