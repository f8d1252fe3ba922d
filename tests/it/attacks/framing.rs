//! Where a request ends: the upstream sees exactly one clean request, or none.

use portcullis_tests::{Connection, InProcess, Tape, Taped, gateway};

use super::Table;

use Fate::{Broken, Denied, Kept, Last, Refused, Then400, Two};

/// What becomes of what a client sent.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is answered with this status and nothing else, and not a byte of it reaches the upstream.
    Refused(u16),
    /// It is answered with this status, and not a byte of it reaches the upstream; the client may go on.
    Denied(u16),
    /// It is answered with this status and nothing else, and what the upstream may see of it never becomes whole.
    Broken(u16),
    /// The upstream sees this, and the client may go on.
    Kept(&'static str),
    /// The upstream sees this, and that was all: the client's connection closes.
    Last(&'static str),
    /// The upstream sees this; what came behind it is answered with a 400.
    Then400(&'static str),
    /// They are two requests, rightly.
    Two(&'static str, &'static str),
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Fields of the head of a `POST /`, and what comes behind it.
const FRAMINGS: [(&str, &str, &str, Fate); 56] = [
    // By a length.
    ("a length", "content-length: 2", "ab", Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab")),
    (
        "a length with blanks around",
        "content-length: \t2 \t",
        "ab",
        Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab"),
    ),
    (
        "a length with zeros before",
        "content-length: 0002",
        "ab",
        Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab"),
    ),
    (
        "a length that could be octal",
        "content-length: 010",
        "0123456789",
        Kept("POST / HTTP/1.1\ncontent-length: 10\n\n0123456789"),
    ),
    (
        "no length, with zeros",
        "content-length: 00",
        "",
        Kept("POST / HTTP/1.1\ncontent-length: 0\n\n"),
    ),
    (
        "the same length twice",
        "content-length: 2\r\ncontent-length: 2",
        "ab",
        Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab"),
    ),
    (
        "the same length, written in two ways",
        "content-length: 2\r\ncontent-length: 02",
        "ab",
        Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab"),
    ),
    ("two lengths", "content-length: 1\r\ncontent-length: 2", "ab", Refused(400)),
    ("two lengths, one of them none", "content-length: 0\r\ncontent-length: 2", "ab", Refused(400)),
    (
        "two lengths with a field between",
        "content-length: 2\r\nx-a: 1\r\ncontent-length: 1",
        "ab",
        Refused(400),
    ),
    ("a list of the same length", "content-length: 2, 2", "ab", Refused(400)),
    ("a list of lengths", "content-length: 1,2", "ab", Refused(400)),
    ("a list with an empty element", "content-length: 2,", "ab", Refused(400)),
    ("a plus", "content-length: +2", "ab", Refused(400)),
    ("a minus", "content-length: -2", "ab", Refused(400)),
    ("minus zero", "content-length: -0", "", Refused(400)),
    ("hexadecimal", "content-length: 0x2", "ab", Refused(400)),
    ("hexadecimal without a sign of it", "content-length: a", "ab", Refused(400)),
    ("a fraction", "content-length: 2.0", "ab", Refused(400)),
    ("an exponent", "content-length: 2e0", "ab", Refused(400)),
    ("a parameter", "content-length: 2;a=b", "ab", Refused(400)),
    ("quotes", "content-length: \"2\"", "ab", Refused(400)),
    ("a blank inside", "content-length: 1 0", "ab", Refused(400)),
    ("digits of another script", "content-length: \u{ff12}", "ab", Refused(400)),
    ("nothing", "content-length:", "ab", Refused(400)),
    ("blanks alone", "content-length: \t ", "ab", Refused(400)),
    ("more than a number holds", "content-length: 18446744073709551616", "ab", Refused(400)),
    ("the most that a number holds", "content-length: 18446744073709551615", "ab", Refused(431)),
    ("a length that wraps to two", "content-length: 18446744073709551618", "ab", Refused(400)),
    ("a vertical tab", "content-length: \u{b}2", "ab", Refused(400)),
    ("a space before the colon", "content-length : 2", "ab", Refused(400)),
    (
        "an underscore frames nothing",
        "content_length: 2",
        "",
        Kept("POST / HTTP/1.1\ncontent_length: 2\n\n"),
    ),
    // By chunks.
    (
        "chunks",
        "transfer-encoding: chunked",
        "2\r\nab\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "loud chunks",
        "Transfer-Encoding: \tCHUNKED ",
        "2\r\nab\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    ("chunks twice in a list", "transfer-encoding: chunked, chunked", "0\r\n\r\n", Refused(400)),
    (
        "chunks twice in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
        Refused(400),
    ),
    ("chunks, and then not", "transfer-encoding: chunked, identity", "0\r\n\r\n", Refused(400)),
    (
        "chunks, and then not, in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "0\r\n\r\n",
        Refused(400),
    ),
    ("not, and then chunks", "transfer-encoding: identity, chunked", "0\r\n\r\n", Refused(400)),
    (
        "not, and then chunks, in two lines",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
        Refused(400),
    ),
    ("a coding within chunks", "transfer-encoding: gzip, chunked", "0\r\n\r\n", Refused(400)),
    ("a coding that does not end", "transfer-encoding: gzip", "0\r\n\r\n", Refused(400)),
    ("an empty element before", "transfer-encoding: ,chunked", "0\r\n\r\n", Refused(400)),
    ("an empty element behind", "transfer-encoding: chunked,", "0\r\n\r\n", Refused(400)),
    ("no coding", "transfer-encoding:", "0\r\n\r\n", Refused(400)),
    ("a letter before", "transfer-encoding: xchunked", "0\r\n\r\n", Refused(400)),
    ("a parameter of chunks", "transfer-encoding: chunked;a=b", "0\r\n\r\n", Refused(400)),
    ("quoted chunks", "transfer-encoding: \"chunked\"", "0\r\n\r\n", Refused(400)),
    ("a vertical tab before chunks", "transfer-encoding: \u{b}chunked", "0\r\n\r\n", Refused(400)),
    ("a blank of another script", "transfer-encoding: \u{a0}chunked", "0\r\n\r\n", Refused(400)),
    ("a tab before the colon", "transfer-encoding\t: chunked", "0\r\n\r\n", Refused(400)),
    ("a folded coding", "transfer-encoding:\r\n chunked", "0\r\n\r\n", Refused(400)),
    (
        "an underscore makes no chunks",
        "transfer_encoding: chunked",
        "0\r\n\r\n",
        Then400("POST / HTTP/1.1\ntransfer_encoding: chunked\n\n"),
    ),
    // By both: RFC 9112 §6.3 allows the chunks, given that the length does not pass and the connection closes.
    (
        "a length, and chunks",
        "content-length: 40\r\ntransfer-encoding: chunked",
        "2\r\nab\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n",
        Last("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "chunks, and a length that is none",
        "transfer-encoding: chunked\r\ncontent-length: +40",
        "2\r\nab\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n",
        Last("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "a length that is none, and chunks",
        "content-length: x\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
        Refused(400),
    ),
];

/// Bodies of a `POST /` in chunks.
const CHUNKS: [(&str, &str, Fate); 34] = [
    ("no size", "\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("no digit", "x\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a sign", "+2\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("less than nothing", "-1\r\na\r\n0\r\n\r\n", Broken(400)),
    ("a prefix", "0x2\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a blank before", " 2\r\nab\r\n0\r\n\r\n", Broken(400)),
    (
        "a blank behind",
        "2 \t\r\nab\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    ("a blank inside", "0 2\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("an underscore", "1_0\r\nab\r\n0\r\n\r\n", Broken(400)),
    (
        "zeros before",
        "0000000000000000000002\r\nab\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "large digits",
        "A\r\n0123456789\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\n0123456789"),
    ),
    ("more than a number holds", "fffffffffffffffff\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a size that wraps to two", "10000000000000002\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a bare LF behind the size", "2\nab\r\n0\r\n\r\n", Broken(400)),
    ("a bare CR behind the size", "2\rab\r\n0\r\n\r\n", Broken(400)),
    ("more than the size", "2\r\nabc\r\n0\r\n\r\n", Broken(400)),
    ("less than the size", "4\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a bare LF behind the chunk", "2\r\nab\n0\r\n\r\n", Broken(400)),
    ("a bare CR behind the chunk", "2\r\nab\r0\r\n\r\n", Broken(400)),
    (
        "a bare LF at the end",
        "2\r\nab\r\n0\r\n\n\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "an extension",
        "2;a=b\r\nab\r\n0;c\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    (
        "an extension that quotes no end",
        "2;a=\"\r\nab\r\n0\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nab"),
    ),
    ("a bare LF in an extension", "2;a\nb\r\nab\r\n0\r\n\r\n", Broken(400)),
    ("a bare CR in an extension", "2;a\rb\r\nab\r\n0\r\n\r\n", Broken(400)),
    (
        "a whole request in an extension",
        "2;\nGET /hidden HTTP/1.1\nhost: a\n\n\r\nab\r\n0\r\n\r\n",
        Broken(400),
    ),
    (
        "a request behind the end",
        "0\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
        Two("POST / HTTP/1.1\ntransfer-encoding: chunked\n\n", "GET /2 HTTP/1.1\n\n"),
    ),
    (
        "a request before the end",
        "28\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n..\r\n0\r\n\r\n",
        Kept(
            "POST / HTTP/1.1\ntransfer-encoding: chunked\n\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n..",
        ),
    ),
    (
        "a trailer that nobody announced",
        "0\r\nx-a: 1\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\n"),
    ),
    (
        "a length for a trailer",
        "0\r\ncontent-length: 40\r\n\r\n",
        Kept("POST / HTTP/1.1\ntransfer-encoding: chunked\n\n"),
    ),
    ("a trailer without a name", "0\r\n: 1\r\n\r\n", Broken(400)),
    ("a trailer that is a request", "0\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", Broken(400)),
    ("a NUL in a trailer", "0\r\nx-a: \0\r\n\r\n", Broken(400)),
    ("a folded trailer", "0\r\nx-a: 1\r\n 2\r\n\r\n", Broken(400)),
    ("a bare LF in a trailer", "0\r\nx-a: 1\nx-b: 2\r\n\r\n", Broken(400)),
];

/// Whole messages.
const MESSAGES: [(&str, &[u8], Fate); 62] = [
    // Lines.
    ("bare LFs", b"GET / HTTP/1.1\nhost: a\nx-a: 1\n\n", Kept("GET / HTTP/1.1\nx-a: 1\n\n")),
    ("empty lines before", b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", Kept("GET / HTTP/1.1\n\n")),
    ("a field behind a bare LF", b"POST / HTTP/1.1\r\nhost: a\r\nx-a: 1\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Kept("POST / HTTP/1.1\nx-a: 1\ntransfer-encoding: chunked\n\n")),
    ("a bare CR for a line", b"GET / HTTP/1.1\r\nhost: a\rx-a: 1\r\n\r\n", Refused(400)),
    ("a bare CR in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r2\r\n\r\n", Refused(400)),
    ("a CR before CR LF", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\r\n\r\n", Refused(400)),
    ("a bare CR behind the request line", b"GET / HTTP/1.1\rhost: a\r\n\r\n", Refused(400)),
    ("a folded line", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n 2\r\n\r\n", Refused(400)),
    ("a line folded by a tab", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n\t2\r\n\r\n", Refused(400)),
    ("a folded first line", b"GET / HTTP/1.1\r\n host: a\r\n\r\n", Refused(400)),
    // Names and values.
    ("a NUL in a name", b"GET / HTTP/1.1\r\nhost: a\r\nx\0a: 1\r\n\r\n", Refused(400)),
    ("a NUL in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\0\r\n\r\n", Refused(400)),
    ("a control byte in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\x01\r\n\r\n", Refused(400)),
    ("a DEL in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\x7f\r\n\r\n", Refused(400)),
    ("an escape in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: \x1b[2J\r\n\r\n", Refused(400)),
    ("a tab in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\t2\r\n\r\n", Kept("GET / HTTP/1.1\nx-a: 1\t2\n\n")),
    ("bytes of no script in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: \xff\xfe\r\n\r\n", Kept("GET / HTTP/1.1\nx-a: \u{fffd}\u{fffd}\n\n")),
    ("a byte of no script in a name", b"GET / HTTP/1.1\r\nhost: a\r\nx-\xff: 1\r\n\r\n", Refused(400)),
    ("a space in a name", b"GET / HTTP/1.1\r\nhost: a\r\nx a: 1\r\n\r\n", Refused(400)),
    ("brackets in a name", b"GET / HTTP/1.1\r\nhost: a\r\nx(a): 1\r\n\r\n", Refused(400)),
    ("no name", b"GET / HTTP/1.1\r\nhost: a\r\n: 1\r\n\r\n", Refused(400)),
    ("no colon", b"GET / HTTP/1.1\r\nhost: a\r\nx-a\r\n\r\n", Refused(400)),
    ("a colon in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: b: c\r\n\r\n", Kept("GET / HTTP/1.1\nx-a: b: c\n\n")),
    // The request line.
    ("HTTP/0.9", b"GET /\r\n\r\n", Refused(400)),
    ("no target", b"GET HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("no method", b"/ HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space before the method", b" GET / HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("two spaces", b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a tab for a space", b"GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a form feed for a space", b"GET\x0c/ HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a request in the target", b"GET /a HTTP/1.1\nhost: b HTTP/1.1\r\nhost: a\r\n\r\n", Denied(400)),
    ("a NUL in the target", b"GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a DEL in the target", b"GET /\x7f HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a bracket in the method", b"G(T / HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a colon in the method", b"GET: / HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("no such version", b"GET / HTTP/1.2\r\nhost: a\r\n\r\n", Refused(400)),
    ("another version", b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", Refused(400)),
    ("a version of two digits", b"GET / HTTP/1.10\r\nhost: a\r\n\r\n", Refused(400)),
    ("a quiet protocol", b"GET / http/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("another protocol", b"GET / ICAP/1.0\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space behind the version", b"GET / HTTP/1.1 \r\nhost: a\r\n\r\n", Refused(400)),
    // HTTP/1.0.
    ("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("both in HTTP/1.0", b"POST / HTTP/1.0\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a request behind one of HTTP/1.0", b"GET / HTTP/1.0\r\nhost: a\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", Last("GET / HTTP/1.1\n\n")),
    // Whose request it is.
    ("no host", b"GET / HTTP/1.1\r\n\r\n", Denied(400)),
    ("two hosts", b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", Denied(400)),
    ("a space in a host", b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", Denied(400)),
    ("a user for a host", b"GET / HTTP/1.1\r\nhost: b@a\r\n\r\n", Denied(400)),
    ("a path for a host", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", Denied(400)),
    ("another scheme", b"GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", Kept("GET / HTTP/1.1\n\n")),
    ("an authority alone", b"GET a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", Denied(400)),
    ("an asterisk of a method that has none", b"GET * HTTP/1.1\r\nhost: a\r\n\r\n", Denied(400)),
    // More than one.
    ("a request in a body", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 36\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n...", Kept("POST / HTTP/1.1\ncontent-length: 36\n\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n...")),
    ("a request behind a body", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nhost: a\r\n\r\n", Two("POST / HTTP/1.1\ncontent-length: 2\n\nab", "GET /2 HTTP/1.1\n\n")),
    ("a request behind a GET", b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n", Two("GET / HTTP/1.1\n\n", "GET /2 HTTP/1.1\n\n")),
    ("more than its length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab\0\0\r\n\r\n", Then400("POST / HTTP/1.1\ncontent-length: 2\n\nab")),
    ("a body of a GET", b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 35\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n..", Kept("GET / HTTP/1.1\ncontent-length: 35\n\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n..")),
    ("a request behind one that closes", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", Last("GET / HTTP/1.1\n\n")),
    // Other ways on.
    ("HTTP/2 behind HTTP/1", b"GET / HTTP/1.1\r\nhost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Last("GET / HTTP/1.1\n\n")),
    ("an upgrade to HTTP/2", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n", Kept("GET / HTTP/1.1\n\n")),
    ("an upgrade with a body", b"POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nab", Kept("POST / HTTP/1.1\ncontent-length: 2\n\nab")),
];

/// A gateway with one route to this upstream.
fn to(tape: &Tape) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        tape.address()
    ))
}

/// A request that shows that all is well behind what came before it.
const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const NEXT_TOLD: &str = "GET /next HTTP/1.1\n\n";

/// Sends it over a connection of its own, and checks its fate to the byte.
async fn meets(name: &str, message: &[u8], fate: Fate) {
    let mut tape = Tape::answering(OK).await;
    let gateway = to(&tape);
    let mut client = Connection::open(gateway.address()).await;

    client.write(message).await;
    let mut expected = Vec::new();
    let answers = match fate {
        Refused(status) | Broken(status) => {
            let answer = client.response().await;
            assert_eq!(answer.status, status, "{name}: {answer:?}");
            (vec![], client.rest().await)
        }
        Denied(status) => {
            let answer = client.response().await;
            assert_eq!(answer.status, status, "{name}: {answer:?}");
            expected.push(NEXT_TOLD);
            client.write(NEXT).await;
            (vec![200], client.rest().await)
        }
        Last(one) => {
            expected.push(one);
            (vec![200], client.rest().await)
        }
        Then400(one) => {
            expected.push(one);
            (vec![200, 400], client.rest().await)
        }
        Kept(one) => {
            expected.extend([one, NEXT_TOLD]);
            assert_eq!(client.response().await.status, 200, "{name}");
            client.write(NEXT).await;
            (vec![200], client.rest().await)
        }
        Two(one, two) => {
            expected.extend([one, two, NEXT_TOLD]);
            assert_eq!(client.response().await.status, 200, "{name}");
            assert_eq!(client.response().await.status, 200, "{name}");
            client.write(NEXT).await;
            (vec![200], client.rest().await)
        }
    };
    drop(client);
    // And another client is not handed what this one has left behind.
    let next = portcullis_tests::exchange(gateway.address(), NEXT).await;
    expected.push(NEXT_TOLD);
    drop(gateway);
    tape.ended().await;

    let (statuses, bytes) = answers;
    assert_eq!(statuses_of(&bytes), statuses, "{name}: {}", String::from_utf8_lossy(&bytes));
    assert_eq!((next.status, next.body.as_str()), (200, "ok"), "{name}");
    let told: Vec<_> = tape.requests().iter().map(Taped::told).collect();
    // Each connection is told of by itself, and they come in any order.
    let sorted = |mut told: Vec<String>| {
        told.sort();
        told
    };
    assert_eq!(sorted(told), sorted(expected.into_iter().map(str::to_owned).collect()), "{name}");
    let own = tape.address().to_string();
    assert!(tape.requests().iter().all(|request| request.field("host") == [&*own]), "{name}");
    let faults: Vec<_> = tape.reels().into_iter().filter_map(|reel| reel.fault).collect();
    assert!(faults.is_empty(), "{name}: {faults:?}");
    let halves = tape.reels().into_iter().filter(|reel| !reel.rest.is_empty()).count();
    assert!(halves <= usize::from(matches!(fate, Broken(_))), "{name}");
}

/// The statuses of the responses that stand one behind the other.
fn statuses_of(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let heads = text.split("HTTP/1.").skip(1);
    heads.map(|head| head.get(2..5).and_then(|status| status.parse().ok()).unwrap_or(0)).collect()
}

#[tokio::test]
async fn the_framing_of_a_body_has_one_reading_or_none() {
    let mut table = Table::default();
    for (name, fields, rest, fate) in FRAMINGS {
        let message = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{rest}");
        table.row(name, meets(name, message.as_bytes(), fate)).await;
    }
    table.end();
}

#[tokio::test]
async fn chunks_have_one_reading_or_none() {
    let mut table = Table::default();
    for (name, chunks, fate) in CHUNKS {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        table.row(name, meets(name, format!("{head}{chunks}").as_bytes(), fate)).await;
    }
    table.end();
}

#[tokio::test]
async fn a_message_has_one_reading_or_none() {
    let mut table = Table::default();
    for (name, message, fate) in MESSAGES {
        table.row(name, meets(name, message, fate)).await;
    }
    table.end();
}
