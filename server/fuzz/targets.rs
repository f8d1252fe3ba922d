use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use portcullis::body::Body;
use portcullis::certificate::Certificate;
use portcullis::config::{Format, Problems, read};
use portcullis::listener::{Progress, read_header};
use portcullis::route::Judged;
use portcullis::upstream::S3ErrorsLayer;
use tower::{Layer, Service, service_fn};

/// Whatever comes in place of a PROXY header is read without a panic, in bounds, and never beyond its end.
pub(crate) fn proxy(input: &[u8]) {
    let mut taken = 0;
    while let Some(Ok(Progress::More(missing))) = input.get(..taken).map(read_header) {
        assert!(missing > 0);
        taken += missing;
        assert!(taken <= 4096);
    }
}

/// Whatever stands in a file is a configuration, or it is said what is wrong with it.
pub(crate) fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for format in [Format::Toml, Format::Yaml] {
        if let Err(problems) = read(text, format, &|_| Some("1".to_owned())) {
            let said = Problems::new(Path::new("file"), text, problems).to_string();
            assert!(!said.is_empty());
        }
    }
}

/// Whatever comes in place of a certificate is read without a panic, and each of its names is of a kind that is known.
pub(crate) fn certificate(input: &[u8]) {
    let Some(certificate) = Certificate::read(input) else { return };
    assert_eq!(certificate.fingerprint.len(), 64);
    for name in &certificate.names {
        let (kind, _) = name.split_once(':').expect("a kind");
        assert!(["DNS", "IP", "URI", "email"].contains(&kind), "{name}");
    }
}

/// A path that is judged begins at the root, and no segment of it leads up, nowhere, or to the end of a string.
pub(crate) fn path(input: &[u8]) {
    let Ok(uri) = Uri::try_from(input) else { return };
    let Ok(judged) = Judged::new(uri.path()) else { return };
    let judged = judged.as_str();
    assert!(judged.starts_with('/') && !judged.contains(['\0', '\\']), "{judged:?}");
    assert!(!judged.split('/').any(|segment| matches!(segment, "." | "..")), "{judged:?}");
    for segments in 0..4 {
        if let Ok(rest) = Judged::after(uri.path(), segments) {
            assert!(uri.path().ends_with(rest), "{rest:?}");
        }
    }
}

/// An error of S3 means the same whether it comes whole or byte by byte, and what passes is passed on to the byte.
pub(crate) fn s3_error(input: &[u8]) {
    let whole = answered(Full::new(Bytes::copy_from_slice(input)));
    let bytes = answered(Bytewise(Bytes::copy_from_slice(input)));
    assert_eq!(whole, bytes);
    if whole.0 == 403 {
        assert_eq!(whole.1, input);
    }
}

fn answered<B>(body: B) -> (u16, Vec<u8>)
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Clone + 'static,
{
    let mut service = S3ErrorsLayer::default().layer(service_fn(move |_: Request<Body>| {
        let response = Response::builder().status(403).header("content-type", "application/xml");
        let response = response.body(Body::new(body.clone())).expect("a response");
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let Ok(response) = now(service.call(Request::new(Body::empty())));
    let status = response.status().as_u16();
    let body = now(response.into_body().collect()).expect("a body").to_bytes();
    (status, body.to_vec())
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}

/// A body that comes byte by byte.
#[derive(Clone)]
struct Bytewise(Bytes);

impl hyper::body::Body for Bytewise {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        let more = !self.0.is_empty();
        Poll::Ready(more.then(|| Ok(hyper::body::Frame::data(self.0.split_to(1)))))
    }
}
