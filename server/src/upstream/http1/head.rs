use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use crate::upstream::framing::{Framing as Told, framing};

use super::Broken;
use super::chunks::{Chunks, Piece, take};

/// The head of a response, and how its body ends.
#[derive(Debug)]
pub(in crate::upstream) struct Head {
    pub(in crate::upstream) response: Response<()>,
    pub(in crate::upstream) framing: Framing,
    /// Whether another response may come over the connection.
    pub(in crate::upstream) persists: bool,
}

/// How a body ends (RFC 9112 §6.3), and how far it is.
#[derive(Debug)]
pub(in crate::upstream) enum Framing {
    /// After so many bytes more.
    Length(u64),
    Chunked(Chunks),
    /// With the connection.
    Close,
    /// It has ended.
    Ended,
}

impl Framing {
    /// That of a response which may have a body.
    fn of(told: Told<'_>, version: Version) -> Result<Self, Broken> {
        match told {
            Told::Chunks if version == Version::HTTP_11 => Ok(Self::Chunked(Chunks::default())),
            Told::Chunks => Err(Broken::Malformed("chunks in HTTP/1.0")),
            Told::Length(length) => match length.parse() {
                Ok(0) => Ok(Self::Ended),
                Ok(length) => Ok(Self::Length(length)),
                Err(_) => Err(Broken::Malformed("a length beyond all numbers")),
            },
            Told::Untold => Ok(Self::Close),
        }
    }

    /// The next piece of what is in `buffer`, which is taken out of it.
    pub(super) fn next(&mut self, buffer: &mut Bytes) -> Result<Piece, Broken> {
        let piece = match self {
            Self::Ended | Self::Length(0) => Piece::End(None),
            Self::Length(_) | Self::Close if buffer.is_empty() => Piece::More,
            Self::Length(left) => Piece::Data(take(buffer, left)),
            Self::Close => Piece::Data(std::mem::take(buffer)),
            Self::Chunked(chunks) => chunks.next(buffer)?,
        };
        if matches!((&piece, &*self), (Piece::End(_), _) | (_, Self::Length(0))) {
            *self = Self::Ended;
        }
        Ok(piece)
    }

    /// How many bytes are sure to come.
    pub(super) const fn left(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(chunks) => chunks.left(),
            Self::Close | Self::Ended => 0,
        }
    }

    /// Whether the last byte has been taken.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }
}

/// The head that `buffer` begins with, which is taken out of it; none if it is not complete. If it is final its fields are in
/// `map`, which has served before, in place of what is there.
pub(super) fn head(
    buffer: &mut Bytes,
    to_head: bool,
    map: &mut HeaderMap,
) -> Result<Option<Head>, Broken> {
    let text = buffer.clone();
    let mut parsed = [const { MaybeUninit::uninit() }; HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut response, &text, &mut parsed);
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if text.len() < HEAD => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(Broken::Malformed("the head is too large")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Broken::Malformed("the head has too many fields"));
        }
        Err(_) => return Err(Broken::Malformed("the response is no HTTP")),
    };
    let (Some(code), Some(minor)) = (response.code, response.version) else { return Ok(None) };
    *buffer = buffer.slice(length..);

    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let status =
        StatusCode::from_u16(code).map_err(|_| Broken::Malformed("there is no such status"))?;
    let mut answer = Response::new(());
    if !is_interim(status) {
        map.clear();
        *answer.headers_mut() = std::mem::take(map);
    }
    fields(&text, response.headers, answer.headers_mut())?;
    // It is passed on even where there is no body.
    let told = framing(answer.headers()).map_err(Broken::Malformed)?;
    let framing = match to_head || is_bodyless(status) {
        true => Framing::Ended,
        false => Framing::of(told, version)?,
    };
    if let Some(reason) =
        response.reason.filter(|reason| Some(*reason) != status.canonical_reason())
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        answer.extensions_mut().insert(reason);
    }
    let persists = persists(answer.headers(), version) && !matches!(framing, Framing::Close);
    *answer.status_mut() = status;
    *answer.version_mut() = version;
    Ok(Some(Head { response: answer, framing, persists }))
}

/// Whether another response is to come to the same request.
pub(super) fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Responses that end with their head, whatever that says (RFC 9112 §6.3).
fn is_bodyless(status: StatusCode) -> bool {
    let none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    status.is_informational() || none.contains(&status)
}

/// Puts lines of `text` into a map; their values share its memory.
pub(super) fn fields(
    text: &Bytes,
    lines: &[httparse::Header<'_>],
    headers: &mut HeaderMap,
) -> Result<(), Broken> {
    let bad = || Broken::Malformed("a field is none");
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| bad())?;
        let value = match line.value {
            [] => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(text.slice_ref(value)).map_err(|_| bad())?,
        };
        headers.append(name, value);
    }
    Ok(())
}

/// RFC 9112 §9.3.
fn persists(headers: &HeaderMap, version: Version) -> bool {
    let mut keeps = version == Version::HTTP_11;
    for option in headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
    {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keeps |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keeps
}

/// A head has no more fields than this, and is no larger.
const HEADERS: usize = 100;
const HEAD: usize = 400 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Head>, Broken> {
        head(&mut Bytes::copy_from_slice(text.as_bytes()), false, &mut HeaderMap::new())
    }

    fn framed(fields: &str) -> Option<(String, bool)> {
        let head = read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).ok()?.expect("a whole head");
        Some((format!("{:?}", head.framing), head.persists))
    }

    #[test]
    fn a_head_is_read_once_it_is_there_and_what_follows_is_left() {
        let text = "HTTP/1.1 200 Fine\r\ncontent-length: 2\r\nx-a: b\r\nX-A:\r\n\r\nok";
        for cut in 0..text.len() - 2 {
            let part = text.split_at(cut).0;
            assert!(read(part).unwrap().is_none(), "{cut}");
        }
        let mut buffer = Bytes::from_static(text.as_bytes());
        let mut map = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let head = head(&mut buffer, false, &mut map).unwrap().unwrap();

        assert_eq!(buffer, "ok");
        let lines: Vec<_> = head.response.headers().get_all("x-a").iter().collect();
        assert_eq!(lines, ["b", ""]);
        assert!(head.persists, "what was in the map before is gone");
        let mut request = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let mut buffer = Bytes::from_static(b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\n");
        super::head(&mut buffer, false, &mut request).unwrap().unwrap();
        assert_eq!(request.len(), 1, "the request may still have to be sent elsewhere");
        let reason = head.response.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(reason.as_bytes(), b"Fine");
    }

    #[test]
    fn the_end_of_a_body_is_where_one_thing_says_and_nothing_else_is_believed() {
        let fine = [
            ("content-length: 5\r\n", "Length(5)", true),
            ("content-length: 0\r\n", "Ended", true),
            ("content-length: 5\r\nconnection: x, Close\r\n", "Length(5)", false),
            (
                "connection: keep-alive\r\nconnection: close\r\ncontent-length: 0\r\n",
                "Ended",
                false,
            ),
            ("transfer-encoding: Chunked\r\n", "Chunked(Chunks(Size))", true),
            ("", "Close", false),
        ];
        for (fields, framing, persists) in fine {
            assert_eq!(framed(fields), Some((framing.to_owned(), persists)), "{fields}");
        }
        for fields in [
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: 5 5\r\n",
            "content-length: 0x5\r\n",
            "content-length:\r\n",
            "content-length: 5,\r\n",
            "content-length: 99999999999999999999\r\n",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: xchunked\r\n",
            "transfer-encoding:\r\n chunked\r\n",
            "content-length : 5\r\n",
        ] {
            assert_eq!(framed(fields), None, "{fields}");
        }
    }

    #[test]
    fn some_responses_have_no_body_whatever_they_say() {
        for status in [204, 304, 101, 103] {
            let text = format!("HTTP/1.1 {status} A\r\ncontent-length: 5\r\n\r\n");
            assert!(read(&text).unwrap().unwrap().framing.has_ended(), "{status}");
        }
        let mut answer = Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        assert!(
            head(&mut answer, true, &mut HeaderMap::new()).unwrap().unwrap().framing.has_ended()
        );
    }

    #[test]
    fn http_1_0_persists_only_where_it_says_so_and_has_no_chunks() {
        let persists = |fields: &str| {
            let text = format!("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n{fields}\r\n");
            read(&text).unwrap().unwrap().persists
        };
        assert!(!persists(""));
        assert!(persists("connection: Keep-Alive\r\n"));
        assert!(read("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn what_is_no_head_or_too_much_of_one_is_malformed() {
        let large = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        for text in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 99 A\r\n\r\n",
            &large,
            &many,
        ] {
            assert!(matches!(read(text), Err(Broken::Malformed(_))), "{text:.40}");
        }
    }
}
