use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Unverified;
use crate::chunk_signature::{Chain, Signature};

/// The size of a chunk, and what is told beside it.
pub(super) fn parse(line: &[u8]) -> Option<(u64, &[u8])> {
    let line = line.strip_suffix(b"\r")?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits)?;
    let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
    match rest {
        [] => Some((size, rest)),
        [b';', extension @ ..] => Some((size, extension)),
        _ => None,
    }
}

/// Chunks that pass only once their signature is checked.
#[derive(Debug)]
pub(crate) struct Signed {
    chain: Chain,
    max_chunk: u64,
    claimed: Signature,
    hash: Sha256,
    // Of the chunk that is read: a piece that is all of it is kept as it came.
    whole: Bytes,
    joined: BytesMut,
    room: usize, // for a beginning, no more: a size is only a claim
}

impl Signed {
    /// Chunks of up to `max_chunk` bytes, which are held in memory.
    pub(crate) fn new(chain: Chain, max_chunk: u64) -> Self {
        Self {
            chain,
            max_chunk,
            claimed: [0; 64],
            hash: Sha256::new(),
            whole: Bytes::new(),
            joined: BytesMut::new(),
            room: 0,
        }
    }

    pub(super) fn begin(&mut self, size: u64, extension: &[u8]) -> Result<(), Unverified> {
        if size > self.max_chunk {
            return Err(Unverified::ChunkTooLarge);
        }
        self.room = usize::try_from(size).unwrap_or(usize::MAX).min(MAX_ROOM);
        let signature = extension.strip_prefix(b"chunk-signature=");
        let signature = signature.and_then(|signature| signature.try_into().ok());
        self.claimed = signature.ok_or(Unverified::MalformedChunk)?;
        Ok(())
    }

    /// Takes a piece of the chunk, of which more is to come unless it is the last.
    pub(super) fn push(&mut self, piece: Bytes, is_last: bool) {
        self.hash.update(&piece);
        if is_last && self.joined.is_empty() {
            self.whole = piece;
        } else {
            self.joined.reserve(std::mem::take(&mut self.room));
            self.joined.extend_from_slice(&piece);
        }
    }

    /// What the chunk holds, if it has the signature that it claims.
    pub(super) fn end(&mut self) -> Result<Bytes, Unverified> {
        let expected = self.chain.chunk(&self.hash.finalize_reset().into());
        if !same(&expected, &self.claimed) {
            return Err(Unverified::WrongChunkSignature);
        }
        let whole = std::mem::take(&mut self.whole);
        Ok(if self.joined.is_empty() { whole } else { self.joined.split().freeze() })
    }

    pub(super) fn check_trailer(
        &mut self,
        lines: Sha256,
        claimed: &[u8],
    ) -> Result<(), Unverified> {
        let expected = self.chain.trailer(&lines.finalize().into());
        if same(&expected, claimed) { Ok(()) } else { Err(Unverified::WrongChunkSignature) }
    }
}

/// Whether two signatures are the same, in a time that does not tell where they differ.
fn same(expected: &[u8], claimed: &[u8]) -> bool {
    expected.ct_eq(claimed).into()
}

const MAX_ROOM: usize = 64 << 10;
