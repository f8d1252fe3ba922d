use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha1::{Digest, Sha1};
use uuid::Uuid;

/// A close frame from a server that goes away (RFC 6455 §5.5.1, §7.4.1: 1001).
pub(super) const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// Where a stream of frames is (RFC 6455 §5.2). A control frame may stand between any two of them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// As much of a frame's head as has come.
    head: Vec<u8>,
    /// How much of a frame's payload is still to come.
    left: u64,
    closed: bool,
}

impl Frames {
    /// Whether the last frame is complete.
    pub(super) const fn between(&self) -> bool {
        self.head.is_empty() && self.left == 0
    }

    /// Whether a close frame has begun.
    pub(super) const fn closed(&self) -> bool {
        self.closed
    }

    /// Follows all of `bytes`; their number.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            let passed = self.pass_one(rest);
            rest = rest.get(passed..).unwrap_or_default();
        }
        bytes.len()
    }

    /// Follows `bytes` to the end of the frame that they are in, or as far as they go; how far that is.
    pub(super) fn pass_one(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        for byte in bytes {
            if self.left > 0 {
                break;
            }
            passed += 1;
            self.head.push(*byte);
            if let Some(length) = payload(&self.head) {
                self.closed |= self.head.first().is_some_and(|first| first & 0x0f == CLOSE);
                self.head.clear();
                self.left = length;
                if length == 0 {
                    return passed;
                }
            }
        }
        let here = bytes.len() - passed;
        let payload = usize::try_from(self.left).unwrap_or(usize::MAX).min(here);
        self.left -= u64::try_from(payload).unwrap_or(0);
        passed + payload
    }
}

/// The length of the payload after a head; none if that is not complete.
fn payload(head: &[u8]) -> Option<u64> {
    let &[_, second, ref rest @ ..] = head else { return None };
    let (length, rest) = match second & 0x7f {
        126 => (u16::from_be_bytes(*rest.first_chunk()?).into(), rest.get(2..)?),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), rest.get(8..)?),
        short => (short.into(), rest),
    };
    let masked = second & 0x80 != 0;
    (!masked || rest.len() == 4).then_some(length)
}

const CLOSE: u8 = 8;

/// A key for a handshake (RFC 6455 §4.1): 16 random bytes.
pub(super) fn key() -> HeaderValue {
    text(&STANDARD.encode(Uuid::new_v4()))
}

/// What accepts a handshake with this key (RFC 6455 §4.2.2).
pub(super) fn accept(key: &HeaderValue) -> HeaderValue {
    let digest =
        Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    text(&STANDARD.encode(digest.finalize()))
}

#[expect(clippy::expect_used, reason = "base64 is ASCII that can be seen")]
fn text(base64: &str) -> HeaderValue {
    HeaderValue::from_str(base64).expect("a header value")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 6455 §1.3.
    #[test]
    fn a_key_is_accepted_as_the_standard_has_it() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn no_two_keys_are_the_same() {
        assert_ne!(key(), key());
        assert_eq!(STANDARD.decode(key()).unwrap().len(), 16);
    }

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..0x1_0000 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0x81, if masked { 4 } else { 0 } + length));
        frame
    }

    proptest! {
        // However the bytes of frames come, the ends of frames are found, and nothing else is taken for one.
        #[test]
        fn the_ends_of_frames_are_found(
            frames in prop::collection::vec(
                (0..11_u8, prop_oneof![0..300_usize, 65_530..65_540_usize], any::<bool>()), 1..5),
            chunk in 1..5000_usize,
        ) {
            let closes = frames.iter().any(|(opcode, ..)| *opcode == CLOSE);
            let frames: Vec<_> =
                frames.into_iter().map(|(opcode, length, masked)| frame(opcode, length, masked)).collect();
            let ends: Vec<usize> =
                frames.iter().scan(0, |end, frame| { *end += frame.len(); Some(*end) }).collect();
            let (mut seen, mut found, mut at) = (Frames::default(), Vec::new(), 0);
            for mut bytes in frames.concat().chunks(chunk) {
                while !bytes.is_empty() {
                    let passed = seen.pass_one(bytes);
                    bytes = &bytes[passed..];
                    at += passed;
                    if seen.between() {
                        found.push(at);
                    }
                }
            }

            prop_assert_eq!(found, ends);
            prop_assert_eq!(seen.closed(), closes);
        }
    }
}
