use std::io::IoSlice;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::request;
use hyper::body::{Body as _, Frame};

use crate::body::Body;

/// What is on its way to the upstream: text, a piece of the body, and the end of its chunk, in this order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    text: Vec<u8>,
    written: usize,
    piece: Bytes,
    end: &'static [u8],
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        !self.has_piece() && self.written == self.text.len()
    }

    /// Whether a piece must go before there is room for another.
    pub(super) const fn has_piece(&self) -> bool {
        !self.piece.is_empty() || !self.end.is_empty()
    }

    pub(super) fn slices(&self) -> [IoSlice<'_>; 3] {
        let text = self.text.get(self.written..).unwrap_or_default();
        [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.end)]
    }

    /// So many bytes of it have gone.
    pub(super) fn advance(&mut self, count: usize) {
        let text = count.min(self.text.len() - self.written);
        let piece = (count - text).min(self.piece.len());
        self.written += text;
        self.piece.advance(piece);
        self.end = self.end.get(count - text - piece..).unwrap_or_default();
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
    }

    /// Gives back the memory that one request in a hundred needs.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to(TEXT);
    }
}

/// How the body of a request ends. It is what is really sent that says so, and the head says the same, whatever the
/// request said of itself: else the next request would begin where this one does not end.
#[derive(Debug, Default)]
pub(super) enum Coding {
    #[default]
    None,
    /// So many bytes are still to come.
    Length(u64),
    /// With these trailers, if they come.
    Chunks(Vec<HeaderName>),
}

/// A body that is not what its head said.
#[derive(Debug)]
pub(super) struct Mismatch;

impl Coding {
    /// Puts a frame of the body on its way.
    pub(super) fn encode(
        &mut self,
        frame: Frame<Bytes>,
        out: &mut Outgoing,
    ) -> Result<(), Mismatch> {
        let piece = match frame.into_data() {
            Ok(piece) if piece.is_empty() => return Ok(()),
            Ok(piece) => piece,
            Err(frame) => {
                if let (Self::Chunks(allowed), Ok(trailers)) = (&*self, frame.into_trailers()) {
                    out.text.extend_from_slice(b"0\r\n");
                    for (name, value) in trailers.iter().filter(|(name, _)| allowed.contains(name))
                    {
                        put_field(&mut out.text, name.as_str(), value.as_bytes());
                    }
                    out.text.extend_from_slice(b"\r\n");
                    *self = Self::None;
                }
                return Ok(());
            }
        };
        match self {
            Self::None => return Err(Mismatch),
            Self::Length(left) => {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(length).ok_or(Mismatch)?;
            }
            Self::Chunks(_) => {
                put_size(&mut out.text, piece.len());
                out.end = b"\r\n";
            }
        }
        out.piece = piece;
        Ok(())
    }

    /// The body has ended.
    pub(super) fn end(&mut self, out: &mut Outgoing) -> Result<(), Mismatch> {
        match std::mem::take(self) {
            Self::None | Self::Length(0) => Ok(()),
            Self::Length(_) => Err(Mismatch),
            // It stands behind a piece, which text does not.
            Self::Chunks(_) if out.has_piece() => {
                out.end = b"\r\n0\r\n\r\n";
                Ok(())
            }
            Self::Chunks(_) => {
                out.text.extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
        }
    }
}

/// Writes the head of a request (RFC 9112 §3), which has a host, and says how its body is to be coded. `CONNECT`, whose target
/// has another form, is no route's.
pub(super) fn encode(request: &request::Parts, body: &Body, out: &mut Outgoing) -> Coding {
    let text = &mut out.text;
    text.extend_from_slice(request.method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(
        request.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes(),
    );
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut has_host, mut has_length) = (false, false);
    for (name, value) in &request.headers {
        has_host |= *name == HOST;
        has_length |= *name == CONTENT_LENGTH;
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            put_field(text, name.as_str(), value.as_bytes());
        }
    }
    if let Some(authority) = request.uri.authority().filter(|_| !has_host) {
        put_field(text, "host", authority.as_str().as_bytes());
    }
    let coding = coding(request, body);
    match &coding {
        Coding::None if !has_length => {}
        Coding::None => text.extend_from_slice(b"content-length: 0\r\n"),
        Coding::Length(length) => {
            text.extend_from_slice(b"content-length: ");
            text.extend_from_slice(length.to_string().as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        Coding::Chunks(_) => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    text.extend_from_slice(b"\r\n");
    coding
}

fn coding(request: &request::Parts, body: &Body) -> Coding {
    if body.is_end_stream() {
        return Coding::None;
    }
    match body.size_hint().exact().or_else(|| told_length(&request.headers)) {
        Some(length) => Coding::Length(length),
        None => Coding::Chunks(trailers(&request.headers)),
    }
}

/// What a request says of its length where its body does not know it: one that is read piece by piece, as it was sent.
fn told_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next()?.to_str().ok()?.parse().ok()?;
    lengths.next().is_none().then_some(length)
}

fn trailers(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(TRAILER).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(','));
    names.filter_map(|name| name.trim().parse().ok()).collect()
}

fn put_field(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

fn put_size(text: &mut Vec<u8>, size: usize) {
    text.extend_from_slice(format!("{size:X}\r\n").as_bytes());
}

/// What most heads have room in.
const TEXT: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Request};
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;
    use crate::body::Error;

    struct Frames(Vec<Bytes>);

    impl futures_core::Stream for Frames {
        type Item = Result<Frame<Bytes>, Error>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.pop().map(|data| Ok(Frame::data(data))))
        }
    }

    fn streamed() -> Body {
        Body::new(StreamBody::new(Frames(vec![Bytes::from("ab")])))
    }

    fn parts(method: Method, fields: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri("/a?b");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn text(method: Method, fields: &[(&str, &str)], body: &Body) -> (String, Coding) {
        let mut out = Outgoing::default();
        let coding = encode(&parts(method, fields), body, &mut out);
        (String::from_utf8(out.text).unwrap(), coding)
    }

    #[test]
    fn the_head_says_of_the_body_what_is_sent_and_not_what_it_was_told() {
        let lies: &[(&str, &str)] =
            &[("content-length", "7"), ("transfer-encoding", "chunked"), ("x-a", "b")];
        let full = Body::from(Bytes::from("abc"));
        let start = |method| format!("{method} /a?b HTTP/1.1\r\nx-a: b\r\n");

        let (head, coding) = text(Method::GET, lies, &Body::empty());
        assert_eq!(head, start("GET") + "content-length: 0\r\n\r\n");
        assert!(matches!(coding, Coding::None));
        let (head, coding) = text(Method::POST, lies, &full);
        assert_eq!(head, start("POST") + "content-length: 3\r\n\r\n");
        assert!(matches!(coding, Coding::Length(3)));
        let (head, coding) = text(Method::POST, lies, &streamed());
        assert_eq!(head, start("POST") + "content-length: 7\r\n\r\n");
        assert!(matches!(coding, Coding::Length(7)));
        let (head, coding) = text(Method::GET, &lies[1..], &streamed());
        assert_eq!(head, start("GET") + "transfer-encoding: chunked\r\n\r\n");
        assert!(matches!(coding, Coding::Chunks(_)));
        assert_eq!(text(Method::GET, &lies[2..], &Body::empty()).0, start("GET") + "\r\n");
    }

    #[test]
    fn a_head_has_the_path_alone_and_one_host() {
        let head = |host: Option<&str>| {
            let mut request = Request::get("https://replica:8443/a?b");
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let mut out = Outgoing::default();
            encode(&parts, &Body::empty(), &mut out);
            String::from_utf8(out.text).unwrap()
        };

        assert_eq!(head(None), "GET /a?b HTTP/1.1\r\nhost: replica:8443\r\n\r\n");
        assert_eq!(head(Some("api")), "GET /a?b HTTP/1.1\r\nhost: api\r\n\r\n");
    }

    #[test]
    fn a_body_that_is_not_as_long_as_its_head_said_is_never_sent_whole() {
        let data = || Frame::data(Bytes::from("abc"));
        let mut out = Outgoing::default();

        assert!(Coding::Length(2).encode(data(), &mut out).is_err());
        let mut longer = Coding::Length(4);
        assert!(longer.encode(data(), &mut out).is_ok());
        assert!(longer.end(&mut out).is_err());
        assert!(Coding::None.encode(data(), &mut out).is_err());
    }

    #[test]
    fn trailers_go_where_they_were_announced_and_no_others() {
        let (_, mut coding) = text(Method::POST, &[("trailer", "x-sum , x-b")], &streamed());
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        trailers.insert("content-length", HeaderValue::from_static("9"));
        let mut out = Outgoing::default();

        assert!(coding.encode(Frame::trailers(trailers), &mut out).is_ok());
        assert!(coding.end(&mut out).is_ok());

        assert_eq!(out.text, b"0\r\nx-sum: 7\r\n\r\n");
    }

    proptest! {
        // However little the socket takes each time, what goes out is what went in.
        #[test]
        fn nothing_is_lost_or_sent_twice(
            pieces in prop::collection::vec("[a-z]{0,20}", 0..5),
            steps in prop::collection::vec(1..40_usize, 1..20),
            known in any::<bool>(),
        ) {
            let (mut out, mut sent, mut coding) = (Outgoing::default(), Vec::new(), Coding::Chunks(vec![]));
            let mut steps = steps.into_iter().cycle();
            let mut drain = |out: &mut Outgoing, sent: &mut Vec<u8>| while !out.is_empty() {
                let all: Vec<u8> = out.slices().iter().flat_map(|slice| slice.to_vec()).collect();
                let count = steps.next().unwrap().min(all.len());
                sent.extend_from_slice(&all[..count]);
                out.advance(count);
            };
            out.text.extend_from_slice(b"head");
            for (place, piece) in pieces.iter().enumerate() {
                prop_assert!(coding.encode(Frame::data(Bytes::from(piece.clone())), &mut out).is_ok());
                if known && place + 1 == pieces.len() {
                    prop_assert!(coding.end(&mut out).is_ok());
                }
                drain(&mut out, &mut sent);
            }
            prop_assert!(coding.end(&mut out).is_ok());
            drain(&mut out, &mut sent);

            let chunk = |piece: &String| format!("{:X}\r\n{piece}\r\n", piece.len());
            let chunks: String = pieces.iter().filter(|piece| !piece.is_empty()).map(chunk).collect();
            prop_assert_eq!(String::from_utf8(sent).unwrap(), format!("head{chunks}0\r\n\r\n"));
        }
    }
}
