use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response};

/// What a response says of where its body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing<'a> {
    /// Nothing.
    Untold,
    /// After so many bytes, in digits.
    Length(&'a str),
    /// With the last chunk.
    Chunks,
}

/// Checks that the body of a response ends in one place, whoever reads it.
///
/// hyper takes the first reading that it finds, and what it leaves behind for the client could have another: RFC 9112 §6.3
/// has such a response for an attack.
pub(super) fn check<B>(response: &Response<B>) -> Result<(), &'static str> {
    framing(response.headers()).map(drop)
}

/// As [`check`], and tells.
pub(super) fn framing(headers: &HeaderMap) -> Result<Framing<'_>, &'static str> {
    let mut framing = Framing::Untold;
    // Once through all of them, which are few, is less than to look each up.
    for (name, value) in headers {
        let said = if *name == CONTENT_LENGTH {
            let length = value.to_str().ok().filter(|length| is_number(length));
            Framing::Length(length.ok_or("a length that is no number")?)
        } else if *name == TRANSFER_ENCODING {
            if !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err("a coding other than chunks");
            }
            Framing::Chunks
        } else {
            continue;
        };
        if framing != Framing::Untold {
            return Err("one framing beside another");
        }
        framing = said;
    }
    Ok(framing)
}

fn is_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(lines: &[(&str, &str)]) -> bool {
        let response =
            lines.iter().fold(Response::builder(), |r, (name, value)| r.header(*name, *value));
        check(&response.body(()).unwrap()).is_ok()
    }

    #[test]
    fn a_body_ends_in_one_place_or_nowhere() {
        assert!(checked(&[]));
        assert!(checked(&[("content-length", "0")]));
        assert!(checked(&[("transfer-encoding", "Chunked")]));
        for lines in [
            &[("content-length", "2"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "2"), ("content-length", "2")],
            &[("content-length", "2, 2")],
            &[("content-length", "")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ] {
            assert!(!checked(lines), "{lines:?}");
        }
    }
}
