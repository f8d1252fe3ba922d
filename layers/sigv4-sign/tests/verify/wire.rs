//! The `aws-chunked` coding, as clients write it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// `data` in chunks of `size`, without signatures, and with `trailer` as it stands.
pub(crate) fn chunked(data: &[u8], size: usize, trailer: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in data.chunks(size.max(1)) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n");
    wire.extend_from_slice(trailer.as_bytes());
    wire.extend_from_slice(b"\r\n");
    wire
}

/// The line of a trailer that has the SHA-256 of `data`.
pub(crate) fn sha256_line(data: &[u8]) -> String {
    format!("x-amz-checksum-sha256:{}\r\n", BASE64_STANDARD.encode(Sha256::digest(data)))
}
