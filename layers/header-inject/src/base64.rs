//! Base64 without padding, as gRPC prefers to have it in metadata.

/// Adds what stands for `bytes`, in the alphabet of RFC 4648 §4.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let byte = |index| chunk.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * place)) & 0x3f;
            // Six bits are always the place of one of 64 digits.
            out.extend(usize::try_from(index).ok().and_then(|index| DIGITS.get(index)));
        }
    }
}

/// How many digits stand for so many bytes.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes / 3 * 4 + if bytes % 3 == 0 { 0 } else { bytes % 3 + 1 }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10, without the padding.
    #[test]
    fn the_vectors_of_the_standard_are_encoded() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff\x00", "+/8A"),
        ] {
            let mut out = Vec::new();
            encode(bytes, &mut out);
            assert_eq!(out, expected.as_bytes());
            assert_eq!(out.len(), encoded_len(bytes.len()));
        }
    }
}
