//! What HTTP/2 can say and HTTP/1.1 cannot: it never becomes something else on its way.

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use portcullis_tests::{End, Frames, Http2, InProcess, Tape, Taped, full, gateway};
use tokio::sync::mpsc;

use super::Table;

use Fate::{Cut, Gone, Kept, Refused, Reset};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is answered with this status, and does not reach the upstream.
    Refused(u16),
    /// Its stream is reset with this code, and it does not reach the upstream.
    Reset(u32),
    /// The connection ends with this code, and it does not reach the upstream, or not whole.
    Gone(u32),
    /// Its stream ends with this code, and what the upstream may see of it never becomes whole.
    Cut(u32),
    /// The upstream sees this.
    Kept(&'static str),
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const PROTOCOL_ERROR: u32 = 1;

type Field = (&'static [u8], &'static [u8]);

/// Fields behind those that every request has.
const FIELDS: [(&str, &[Field], Fate); 32] = [
    ("nothing", &[], Kept("POST /\n\n")),
    ("CR LF in a value", &[(b"x-a", b"1\r\nx-b: 2")], Gone(PROTOCOL_ERROR)),
    (
        "a request in a value",
        &[(b"x-a", b"1\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n")],
        Gone(PROTOCOL_ERROR),
    ),
    ("LF in a value", &[(b"x-a", b"1\nx-b: 2")], Gone(PROTOCOL_ERROR)),
    ("CR in a value", &[(b"x-a", b"1\r2")], Gone(PROTOCOL_ERROR)),
    ("NUL in a value", &[(b"x-a", b"1\x002")], Gone(PROTOCOL_ERROR)),
    ("a control byte in a value", &[(b"x-a", b"1\x7f")], Gone(PROTOCOL_ERROR)),
    ("CR LF in a name", &[(b"x-a: 1\r\nx-b", b"2")], Gone(PROTOCOL_ERROR)),
    (
        "a whole head in a name",
        &[(b"x-a: 1\r\n\r\nget /hidden http/1.1\r\nx-b", b"2")],
        Gone(PROTOCOL_ERROR),
    ),
    ("a colon in a name", &[(b"x:a", b"1")], Gone(PROTOCOL_ERROR)),
    ("a space in a name", &[(b"x a", b"1")], Gone(PROTOCOL_ERROR)),
    ("a space behind a name", &[(b"transfer-encoding ", b"chunked")], Gone(PROTOCOL_ERROR)),
    ("NUL in a name", &[(b"x\0a", b"1")], Gone(PROTOCOL_ERROR)),
    ("no name", &[(b"", b"1")], Gone(PROTOCOL_ERROR)),
    ("a large letter in a name", &[(b"X-a", b"1")], Gone(PROTOCOL_ERROR)),
    ("chunks", &[(b"transfer-encoding", b"chunked")], Reset(PROTOCOL_ERROR)),
    ("a nomination", &[(b"connection", b"x-a")], Reset(PROTOCOL_ERROR)),
    ("keep-alive", &[(b"keep-alive", b"5")], Reset(PROTOCOL_ERROR)),
    ("proxy-connection", &[(b"proxy-connection", b"close")], Reset(PROTOCOL_ERROR)),
    ("an upgrade", &[(b"upgrade", b"h2c")], Reset(PROTOCOL_ERROR)),
    ("codings of trailers", &[(b"te", b"gzip")], Reset(PROTOCOL_ERROR)),
    ("trailers", &[(b"te", b"trailers")], Kept("POST /\nte: trailers\n\n")),
    ("settings of HTTP/1", &[(b"http2-settings", b"AAMAAABkAAQAAP__")], Kept("POST /\n\n")),
    ("a length without a body", &[(b"content-length", b"2")], Reset(PROTOCOL_ERROR)),
    ("a length that is none", &[(b"content-length", b"+0")], Reset(PROTOCOL_ERROR)),
    ("no length, with zeros", &[(b"content-length", b"00")], Kept("POST /\n\n")),
    ("two lengths", &[(b"content-length", b"0"), (b"content-length", b"2")], Reset(PROTOCOL_ERROR)),
    (
        "CR LF in a cookie",
        &[(b"cookie", b"a=1"), (b"cookie", b"b=2\r\nx-b: 2")],
        Gone(PROTOCOL_ERROR),
    ),
    ("another path", &[(b":path", b"/b")], Reset(PROTOCOL_ERROR)),
    ("a method behind a field", &[(b"x-a", b"1"), (b":method", b"GET")], Reset(PROTOCOL_ERROR)),
    ("a status", &[(b":status", b"200")], Reset(PROTOCOL_ERROR)),
    ("a part that there is not", &[(b":x", b"1")], Gone(PROTOCOL_ERROR)),
];

const fn head(
    method: &'static [u8],
    scheme: &'static [u8],
    authority: &'static [u8],
    path: &'static [u8],
) -> [Field; 4] {
    [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]
}

/// What stands for the request line.
const HEADS: [(&str, [Field; 4], Fate); 19] = [
    ("a space in the path", head(b"GET", b"http", b"a", b"/a b"), Reset(PROTOCOL_ERROR)),
    (
        "a request in the path",
        head(b"GET", b"http", b"a", b"/ HTTP/1.1\r\nhost: a\r\n\r\nGET /hidden"),
        Reset(PROTOCOL_ERROR),
    ),
    ("a tab in the path", head(b"GET", b"http", b"a", b"/a\tb"), Reset(PROTOCOL_ERROR)),
    ("NUL in the path", head(b"GET", b"http", b"a", b"/\0"), Reset(PROTOCOL_ERROR)),
    ("no path", head(b"GET", b"http", b"a", b""), Reset(PROTOCOL_ERROR)),
    ("a path without a slash", head(b"GET", b"http", b"a", b"a"), Reset(PROTOCOL_ERROR)),
    ("an asterisk", head(b"GET", b"http", b"a", b"*"), Refused(400)),
    ("a fragment", head(b"GET", b"http", b"a", b"/a#b"), Kept("GET /a\n\n")),
    ("a whole target", head(b"GET", b"http", b"a", b"http://b/hidden"), Reset(PROTOCOL_ERROR)),
    (
        "a space in the method",
        head(b"GET /hidden HTTP/1.1", b"http", b"a", b"/"),
        Gone(PROTOCOL_ERROR),
    ),
    (
        "CR LF in the method",
        head(b"GET / HTTP/1.1\r\nx-a:", b"http", b"a", b"/"),
        Gone(PROTOCOL_ERROR),
    ),
    ("no method", head(b"", b"http", b"a", b"/"), Gone(PROTOCOL_ERROR)),
    ("CR LF in the scheme", head(b"GET", b"http\r\nx-a: 1", b"a", b"/"), Reset(PROTOCOL_ERROR)),
    (
        "a target in the scheme",
        head(b"GET", b"http://b/hidden?", b"a", b"/"),
        Reset(PROTOCOL_ERROR),
    ),
    ("CR LF in the authority", head(b"GET", b"http", b"a\r\nx-a: 1", b"/"), Reset(PROTOCOL_ERROR)),
    ("a space in the authority", head(b"GET", b"http", b"a b", b"/"), Reset(PROTOCOL_ERROR)),
    ("a path in the authority", head(b"GET", b"http", b"a/hidden", b"/"), Reset(PROTOCOL_ERROR)),
    ("a tunnel", head(b"CONNECT", b"http", b"a", b"/"), Reset(PROTOCOL_ERROR)),
    (
        "one part twice",
        [(b":method", b"GET"), (b":path", b"/"), (b":path", b"/hidden"), (b":scheme", b"http")],
        Reset(PROTOCOL_ERROR),
    ),
];

/// A body in pieces: the length that the head tells, the frames, and the trailers.
type Sent =
    (&'static str, &'static [Field], &'static [&'static [u8]], Option<&'static [Field]>, Fate);

const BODIES: [Sent; 10] = [
    ("without a length", &[], &[b"a", b"b"], None, Kept("POST /\n\nab")),
    (
        "of its length",
        &[(b"content-length", b"2")],
        &[b"a", b"b"],
        None,
        Kept("POST /\ncontent-length: 2\n\nab"),
    ),
    ("longer than its length", &[(b"content-length", b"1")], &[b"ab"], None, Cut(PROTOCOL_ERROR)),
    (
        "longer by a request",
        &[(b"content-length", b"2")],
        &[b"ab", b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"],
        None,
        Cut(PROTOCOL_ERROR),
    ),
    ("shorter than its length", &[(b"content-length", b"3")], &[b"ab"], None, Cut(PROTOCOL_ERROR)),
    (
        "of chunks that are none",
        &[],
        &[b"0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"],
        None,
        Kept("POST /\n\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"),
    ),
    (
        "with a trailer",
        &[(b"trailer", b"x-a")],
        &[b"ab"],
        Some(&[(b"x-a", b"1")]),
        Kept("POST /\ntrailer: x-a\n\nab\nx-a: 1"),
    ),
    (
        "with trailers that would frame or route",
        &[(b"trailer", b"x-a, content-length, host, authorization, transfer-encoding")],
        &[b"ab"],
        Some(&[
            (b"content-length", b"40"),
            (b"host", b"b"),
            (b"authorization", b"Basic YTpi"),
            (b"x-a", b"1"),
        ]),
        Kept(
            "POST /\ntrailer: x-a, content-length, host, authorization, transfer-encoding\n\nab\nx-a: 1",
        ),
    ),
    (
        "with CR LF in a trailer",
        &[(b"trailer", b"x-a")],
        &[b"ab"],
        Some(&[(b"x-a", b"1\r\n\r\nGET /hidden HTTP/1.1")]),
        Gone(PROTOCOL_ERROR),
    ),
    (
        "with a path for a trailer",
        &[],
        &[b"ab"],
        Some(&[(b":path", b"/hidden")]),
        Kept("POST /\n\nab"),
    ),
];

/// An upstream of either version, and what it saw.
enum Behind {
    Http1(Tape),
    Http2(Http2, mpsc::UnboundedReceiver<String>),
}

impl Behind {
    async fn http2() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let upstream = Http2::serving(100, move |request: Request<Incoming>| {
            let tell = tell.clone();
            async move {
                let (head, body) = request.into_parts();
                // One that breaks off was none.
                if let Ok(body) = body.collect().await {
                    let mut text = format!("{} {}", head.method, head.uri.path());
                    let own = |name: &str| {
                        name == "x-request-id" || name == "via" || name.starts_with("x-forwarded")
                    };
                    for (name, value) in head.headers.iter().filter(|(name, _)| !own(name.as_str()))
                    {
                        text += &format!("\n{name}: {}", value.to_str().unwrap());
                    }
                    let trailers = body.trailers().cloned().unwrap_or_default();
                    text += "\n\n";
                    text += std::str::from_utf8(&body.to_bytes()).unwrap();
                    for (name, value) in &trailers {
                        text += &format!("\n{name}: {}", value.to_str().unwrap());
                    }
                    tell.send(text).unwrap();
                }
                http::Response::new(full("ok"))
            }
        })
        .await;
        Self::Http2(upstream, told)
    }

    fn gateway(&self) -> InProcess {
        let (address, version) = match self {
            Self::Http1(tape) => (tape.address(), "1.1"),
            Self::Http2(upstream, _) => (upstream.address(), "2"),
        };
        gateway(&format!(
            "upstream.a = {{ http_version = '{version}', replica = [{{ name = 'a', url = 'http://{address}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]"
        ))
    }

    /// What it was told, in the words of HTTP/2, once the gateway is gone.
    async fn told(self, name: &str) -> Vec<String> {
        match self {
            Self::Http1(mut tape) => {
                tape.ended().await;
                let faults: Vec<_> =
                    tape.reels().into_iter().filter_map(|reel| reel.fault).collect();
                assert!(faults.is_empty(), "{name}: {faults:?}");
                let told = tape.requests();
                let told = told.iter().map(Taped::told);
                told.map(|told| {
                    told.replacen(" HTTP/1.1", "", 1).replacen(
                        "\ntransfer-encoding: chunked",
                        "",
                        1,
                    )
                })
                .collect()
            }
            Self::Http2(_, mut told) => {
                let mut all = Vec::new();
                while let Ok(one) = told.try_recv() {
                    all.push(one);
                }
                all
            }
        }
    }
}

/// Sends a request by `send` on stream 1 of a connection of its own, and checks its fate; others are served.
async fn meets(name: &str, behind: Behind, fate: Fate, send: impl AsyncFnOnce(&mut Frames)) {
    let gateway = behind.gateway();
    let mut client = Frames::open(gateway.address(), &[]).await;

    send(&mut client).await;
    let end = client.end(1).await;
    let mut expected = Vec::new();
    match fate {
        Refused(status) => {
            assert!(matches!(end, End::Answered(found, _) if found == status), "{name}: {end:?}");
        }
        Reset(code) | Cut(code) => assert_eq!(end, End::Reset(code), "{name}"),
        Gone(code) => {
            assert_eq!(end, End::Gone(code), "{name}");
            client = Frames::open(gateway.address(), &[]).await;
        }
        Kept(one) => {
            assert_eq!(end, End::Answered(200, b"ok".to_vec()), "{name}");
            expected.push(one);
        }
    }
    client.get(3, "/next").await;
    assert_eq!(client.end(3).await, End::Answered(200, b"ok".to_vec()), "{name}");
    expected.push("GET /next\n\n");
    drop((client, gateway));

    // Some say that there is no body.
    let told = behind.told(name).await.into_iter();
    let told: Vec<_> = told.map(|told| told.replace("\ncontent-length: 0", "")).collect();
    assert_eq!(told, expected, "{name}");
}

async fn both() -> [Behind; 2] {
    [Behind::Http1(Tape::answering(OK).await), Behind::http2().await]
}

#[tokio::test]
async fn no_field_of_http_2_becomes_another_one() {
    let mut table = Table::default();
    for (name, fields, fate) in FIELDS {
        for behind in both().await {
            let all = [&head(b"POST", b"http", b"a", b"/")[..], fields].concat();
            let check = meets(name, behind, fate, async |client| {
                client.head(1, &all, Frames::END_STREAM).await;
            });
            table.row(name, check).await;
        }
    }
    table.end();
}

#[tokio::test]
async fn no_head_of_http_2_becomes_another_one() {
    let mut table = Table::default();
    for (name, fields, fate) in HEADS {
        for behind in both().await {
            let check = meets(name, behind, fate, async |client| {
                client.head(1, &fields, Frames::END_STREAM).await;
            });
            table.row(name, check).await;
        }
    }
    table.end();
}

#[tokio::test]
async fn no_body_of_http_2_becomes_another_one() {
    let mut table = Table::default();
    for (name, fields, pieces, trailers, fate) in BODIES {
        for behind in both().await {
            let all = [&head(b"POST", b"http", b"a", b"/")[..], fields].concat();
            let check = meets(name, behind, fate, async |client| {
                client.head(1, &all, 0).await;
                for (number, piece) in pieces.iter().enumerate() {
                    let last = trailers.is_none() && number + 1 == pieces.len();
                    client.frame(Frames::DATA, u8::from(last), 1, piece).await;
                }
                if let Some(trailers) = trailers {
                    client.head(1, trailers, Frames::END_STREAM).await;
                }
            });
            table.row(name, check).await;
        }
    }
    table.end();
}
