use bytes::Bytes;
use http::HeaderMap;

use super::Broken;
use super::head::fields;

/// Takes a body out of its chunks (RFC 9112 §7.1), strictly: a line ends in CRLF and nothing else.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Chunks(At);

#[derive(Debug, Default)]
enum At {
    #[default]
    Size,
    Data(u64),
    AfterData,
    Trailers,
}

/// What has come of a body.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// More is to come first.
    More,
    End(Option<HeaderMap>),
}

impl Chunks {
    /// How many bytes of a chunk are sure to come.
    pub(super) const fn left(&self) -> u64 {
        match self.0 {
            At::Data(left) => left,
            At::Size | At::AfterData | At::Trailers => 0,
        }
    }

    /// The next piece of what is in `buffer`, which is taken out of it.
    pub(super) fn next(&mut self, buffer: &mut Bytes) -> Result<Piece, Broken> {
        loop {
            match &mut self.0 {
                At::Size => {
                    let Some(line) = line(buffer)? else { return Ok(Piece::More) };
                    self.0 = match size(&line)? {
                        0 => At::Trailers,
                        size => At::Data(size),
                    };
                }
                At::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Piece::More);
                    }
                    let piece = take(buffer, left);
                    if *left == 0 {
                        self.0 = At::AfterData;
                    }
                    return Ok(Piece::Data(piece));
                }
                At::AfterData => {
                    if buffer.len() < 2 {
                        return Ok(Piece::More);
                    }
                    if buffer.split_to(2) != "\r\n" {
                        return Err(Broken::Malformed("a chunk is longer than its size"));
                    }
                    self.0 = At::Size;
                }
                At::Trailers => return trailers(buffer),
            }
        }
    }
}

/// As much of `buffer` as there may be; it is taken off `left`.
pub(super) fn take(buffer: &mut Bytes, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= u64::try_from(length).unwrap_or(0);
    buffer.split_to(length)
}

fn line(buffer: &mut Bytes) -> Result<Option<Bytes>, Broken> {
    let Some(end) = buffer.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return match buffer.len() < LINE {
            true => Ok(None),
            false => Err(Broken::Malformed("a line between chunks is too long")),
        };
    };
    let mut line = buffer.split_to(end + 1);
    let ends = line.ends_with(b"\r\n");
    line.truncate(end.saturating_sub(1));
    match ends && !line.contains(&b'\r') {
        true => Ok(Some(line)),
        false => Err(Broken::Malformed("a line between chunks does not end in CRLF")),
    }
}

/// The size at the start of a line; extensions mean nothing (RFC 9112 §7.1.1).
fn size(line: &[u8]) -> Result<u64, Broken> {
    let bad = || Broken::Malformed("a chunk has no size");
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    if !matches!(rest.trim_ascii(), [] | [b';', ..]) {
        return Err(bad());
    }
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() <= 16).ok_or_else(bad)?;
    u64::from_str_radix(digits, 16).map_err(|_| bad())
}

fn trailers(buffer: &mut Bytes) -> Result<Piece, Broken> {
    match **buffer {
        [b'\r', b'\n', ..] => {
            *buffer = buffer.slice(2..);
            return Ok(Piece::End(None));
        }
        [] | [b'\r'] => return Ok(Piece::More),
        _ => {}
    }
    let bad = |_| Broken::Malformed("the trailers are none");
    let mut parsed = [httparse::EMPTY_HEADER; TRAILERS];
    let text = buffer.clone();
    let (length, trailers) = match httparse::parse_headers(&text, &mut parsed).map_err(bad)? {
        httparse::Status::Complete((length, lines)) => {
            let mut trailers = HeaderMap::with_capacity(lines.len());
            fields(&text, lines, &mut trailers)?;
            (length, trailers)
        }
        httparse::Status::Partial if text.len() < TRAILER_BYTES => return Ok(Piece::More),
        httparse::Status::Partial => return Err(Broken::Malformed("the trailers are too long")),
    };
    *buffer = buffer.slice(length..);
    Ok(Piece::End(Some(trailers)))
}

/// A size and its extensions are no longer than this.
const LINE: usize = 4096;

/// Trailers are no more than this, and no longer.
const TRAILERS: usize = 64;
const TRAILER_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, what follows it, and its trailers.
    type Whole = (Vec<u8>, Vec<u8>, Option<HeaderMap>);

    /// What is read when it comes in pieces of this size.
    fn read(bytes: &[u8], step: usize) -> Result<Whole, Broken> {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        let mut buffer = Bytes::new();
        let mut parts = bytes.chunks(step);
        loop {
            match chunks.next(&mut buffer)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(trailers) => {
                    let rest = parts.flatten().copied();
                    let rest = buffer.iter().copied().chain(rest).collect();
                    return Ok((body, rest, trailers));
                }
                Piece::More => match parts.next() {
                    Some(part) => buffer = [&buffer, part].concat().into(),
                    None => return Err(Broken::Closed),
                },
            }
        }
    }

    #[test]
    fn trailers_are_read_and_what_follows_them_is_left() {
        let bytes = b"2;a=b\r\nok\r\n0\r\nx-sum: 7\r\nx-other: 8\r\n\r\nHTTP/1.1 200 OK";
        for step in 1..bytes.len() {
            let (body, rest, trailers) = read(bytes, step).unwrap();

            assert_eq!((body, rest), (b"ok".to_vec(), b"HTTP/1.1 200 OK".to_vec()));
            let trailers = trailers.unwrap();
            assert_eq!(
                (&trailers["x-sum"], &trailers["x-other"]),
                (&"7".parse().unwrap(), &"8".parse().unwrap())
            );
        }
    }

    #[test]
    fn what_is_no_chunk_is_malformed() {
        for bytes in [
            "x\r\n",
            "\r\n",
            "-1\r\na\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            " 1\r\na\r\n",
            "1\na\n0\n\n",
            "1\r\nab\r\n0\r\n\r\n",
            "1\r\na\n0\r\n\r\n",
            "1\r\na\r\r0\r\n\r\n",
            "1 2\r\na\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
            "11111111111111111\r\na",
            "0\r\nno field\r\n\r\n",
            "0\r\na : b\r\n\r\n",
        ] {
            for step in [1, bytes.len()] {
                let read = read(bytes.as_bytes(), step);
                assert!(matches!(read, Err(Broken::Malformed(_))), "{bytes:?}: {read:?}");
            }
        }
    }

    #[test]
    fn neither_lines_nor_trailers_are_without_end() {
        for endless in [
            "1;a".to_owned() + &"a".repeat(LINE),
            "0\r\na: ".to_owned() + &"b".repeat(TRAILER_BYTES),
        ] {
            assert!(matches!(read(endless.as_bytes(), 100), Err(Broken::Malformed(_))));
        }
    }

    proptest! {
        // However a body was cut, and however it comes, it is what it was, and nothing beyond it is touched.
        #[test]
        fn a_body_comes_out_as_it_went_in(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 0..6),
            step in 1..50_usize,
            after in "[A-Z]{0,9}",
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend(format!("{:X}\r\n", part.len()).into_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let truncated = bytes.clone();
            bytes.extend_from_slice(after.as_bytes());

            let (body, rest, trailers) = read(&bytes, step).unwrap();
            prop_assert_eq!(body, parts.concat());
            prop_assert_eq!(rest, after.into_bytes());
            prop_assert!(trailers.is_none());
            for cut in 0..truncated.len() {
                prop_assert!(matches!(read(&truncated[..cut], step), Err(Broken::Closed)));
            }
        }

        // Whatever comes, nothing panics.
        #[test]
        fn nothing_that_comes_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1..50_usize) {
            let _ = read(&bytes, step);
        }
    }
}
