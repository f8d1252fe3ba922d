use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Response};

/// Checks that the body of a response ends in one place, whoever reads it.
///
/// hyper takes the first reading that it finds, and what it leaves behind for the client could have another: RFC 9112 §6.3
/// has such a response for an attack.
pub(super) fn check<B>(response: &Response<B>) -> Result<(), &'static str> {
    let headers = response.headers();
    let length = only(headers, CONTENT_LENGTH)?;
    let coding = only(headers, TRANSFER_ENCODING)?;
    match (length, coding) {
        (Some(_), Some(_)) => Err("both a length and chunks"),
        (Some(length), None) if !is_number(length) => Err("a length that is no number"),
        (None, Some(coding)) if !coding.eq_ignore_ascii_case(b"chunked") => {
            Err("a coding other than chunks")
        }
        _ => Ok(()),
    }
}

fn only(headers: &HeaderMap, name: http::HeaderName) -> Result<Option<&[u8]>, &'static str> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = lines.next();
    if lines.next().is_some() { Err("one framing beside another") } else { Ok(first) }
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
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
