//! The two messages of gRPC's health protocol, which are too small for a library.

use bytes::{BufMut, Bytes, BytesMut};

/// A framed `HealthCheckRequest`: the name is field 1.
pub(crate) fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len());
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put(message);
    frame.freeze()
}

/// Whether a framed `HealthCheckResponse` says `SERVING`; none, if it is no such thing.
///
/// The status is field 1. It counts as it was said last, other fields are skipped, and a compressed message, which
/// nobody asked for, is not understood.
pub(crate) fn is_serving(frame: &[u8]) -> Option<bool> {
    let (&[compressed, length @ ..], mut message) = frame.split_first_chunk::<5>()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if compressed != 0 || length != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status == SERVING)
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_varint(output: &mut BytesMut, mut number: usize) {
    while number > 0x7f {
        output.put_u8(0x80 | u8::try_from(number & 0x7f).unwrap_or_default());
        number >>= 7;
    }
    output.put_u8(u8::try_from(number).unwrap_or_default());
}

const SERVING: u64 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0][..], &length, message].concat()
    }

    #[test]
    fn a_question_names_its_service_or_nothing() {
        assert_eq!(*question(""), framed(&[]));
        assert_eq!(*question("a.B"), framed(b"\x0a\x03a.B"));
        let long = "x".repeat(300);
        assert_eq!(*question(&long), framed(&[b"\x0a\xac\x02", long.as_bytes()].concat()));
    }

    #[test]
    fn only_serving_is_serving() {
        assert_eq!(is_serving(&framed(&[8, 1])), Some(true));
        for status in [0, 2, 3, 17] {
            assert_eq!(is_serving(&framed(&[8, status])), Some(false));
        }
        assert_eq!(is_serving(&framed(&[])), Some(false), "UNKNOWN is not written");
        assert_eq!(is_serving(&framed(&[8, 0x81, 1])), Some(false), "129 ends in 1");
    }

    #[test]
    fn the_last_status_counts_and_other_fields_do_not() {
        assert_eq!(is_serving(&framed(&[8, 2, 8, 1])), Some(true));
        let others = b"\x10\x07\x1a\x02\x08\x02\x25....\x29........\x08\x01";
        assert_eq!(is_serving(&framed(others)), Some(true));
    }

    #[test]
    fn what_is_cut_off_too_long_or_compressed_is_not_understood() {
        for message in [&[8][..], &[8, 0x80], &[0x12, 5, 1], &[0x0b], &[0, 1], &[8; 1]] {
            assert_eq!(is_serving(&framed(message)), None, "{message:?}");
        }
        assert_eq!(is_serving(&framed(&[[0x08].as_slice(), &[0xff; 10], &[1]].concat())), None);
        assert_eq!(is_serving(&[0, 0, 0, 0]), None);
        assert_eq!(is_serving(&[0, 0, 0, 0, 3, 8, 1]), None);
        assert_eq!(is_serving(&[0, 0, 0, 0, 2, 8, 1, 0]), None);
        assert_eq!(is_serving(&[1, 0, 0, 0, 2, 8, 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = is_serving(&bytes);
            let _ = is_serving(&framed(&bytes));
        }
    }
}
